"""Partial labels in a run: what they fix is written as it is, and their spans alone are made."""

import json

import numpy as np
import pytest
from contents import contents
from PIL import Image

from wrp_jax.labelling.dry_run import describe_labels
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.propagation.provenance import Kind
from wrp_jax.types import UserError

KEEP = 254


@pytest.fixture
def root(make_folder):
    root = make_folder({"a": 10, "b": 4}, lambda sequence, t: t in (1, 7))
    content = json.loads((root / "classes.json").read_text())
    (root / "classes.json").write_text(json.dumps({**content, "keep": KEEP}))
    return root


def fix(root, name="004", id_=9):
    """Says that some pixels of a frame are of a class."""
    label = np.full((24, 32), KEEP, np.uint8)
    label[10:14, 20:26] = id_
    Image.fromarray(label).save(root / "a/labels" / f"{name}.png")
    return label


def test_a_dry_run_counts_partial_labels(root, config, networks, tmp_path):
    fix(root)
    config.propagation.horizon = 3
    plan = make_plan(config, Request(str(root), tmp_path / "out", "motion-only"))
    first = next(iter(describe_labels(plan, networks)))
    assert first == "windows: 4 in 2 sequences; labelled frames: 3; with a partial label: 1"


@pytest.fixture
def label(label, config):
    """Labels by motion alone, and gives the spans that were made."""
    config.propagation.horizon, config.propagation.write_source = 3, True

    def made(output="out", **more):
        label(output, method="motion-only", **more)
        return list(label.made)

    return made


def read(tmp_path, name):
    return np.array(Image.open(tmp_path / "out/a/labels" / f"{name}.png"))


def test_a_partial_label_is_written_and_spreads(label, root, tmp_path, caplog):
    assert label() == ["a 001", "a 001 007", "a 007", "b 001"]
    before = {name: read(tmp_path, name) for name in ("001", "002", "003", "004", "005")}
    fixed = fix(root)
    mine = fixed != KEEP
    assert label() == ["a 001 007"]
    assert "1 of 4 spans is made again: new partial label frame 004 of a" in caplog.text
    after = {name: read(tmp_path, name) for name in before}
    np.testing.assert_array_equal(after["004"], np.where(mine, fixed, before["004"]))
    for name in ("003", "005"):
        changed = after[name] != before[name]
        assert changed.sum() > mine.sum() / 2 and (after[name][changed] == 9).all()
    np.testing.assert_array_equal(after["001"], before["001"])
    sure = np.array(Image.open(tmp_path / "out/a/confidence/004.png"))
    assert (sure[mine] == 255).all()
    key = np.array(Image.open(root / "a/labels/001.png"))
    np.testing.assert_array_equal(after["001"], key)
    source, age = (np.array(Image.open(tmp_path / f"out/a/{k}/004.png")) for k in ("source", "age"))
    assert (source[mine] == 2 * Kind.MANUAL).all() and (age[mine] == 0).all()
    assert (source[~mine] // 2 == Kind.CARRIED).all() and set(np.unique(age[~mine])) == {3}
    source, age = (np.array(Image.open(tmp_path / f"out/a/{k}/003.png")) for k in ("source", "age"))
    spread = after["003"] != before["003"]
    assert (source[spread] == 2 * Kind.CORRECTED + 1).all() and (age[spread] == 1).all()
    assert len(json.loads((tmp_path / "out/metrics.json").read_text())["code"]) == 1
    label("fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")
    fix(root, id_=0)
    caplog.clear()
    assert label() == ["a 001 007"] and "changed partial label frame 004 of a" in caplog.text
    (root / "a/labels/004.png").unlink()
    assert label() == ["a 001 007"]
    np.testing.assert_array_equal(read(tmp_path, "004"), before["004"])


def test_partial_labels_that_do_not_count(label, root, tmp_path, config, caplog):
    fix(root)
    listed = tmp_path / "keys.txt"
    listed.write_text("a 001\na 007\n")

    def jobs(**more):
        return make_plan(config, Request(str(root), tmp_path / "x", "static", **more)).jobs

    assert [job.partial for job in jobs()] == [(), (3,), (), ()]
    assert not caplog.messages
    assert [job.partial for job in jobs(keyframes=str(listed))] == [(), (), ()]
    assert "the partial label of frame 004 of a is not used, because" in caplog.text
    caplog.clear()
    listed.write_text("a 001\na 004\n")
    jobs(keyframes=str(listed), horizon=9)
    told = f"the label of frame 007 of a is used for scores alone: {listed} does not name it"
    assert [told in message for message in caplog.messages] == [True]
    caplog.clear()
    listed.write_text("a 001\na 007\na 004\n")
    assert [job.partial for job in jobs(keyframes=str(listed))] == [(), (3,), ()]
    assert not caplog.messages
    assert all(job.partial == () for job in jobs(horizon=1))
    assert "frame 004 of a is not used, because no whole label reaches it" in caplog.text
    damaged = np.full((24, 32), KEEP, np.uint8)
    damaged[3, 3] = 5
    Image.fromarray(damaged).save(root / "a/labels/004.png")
    with pytest.raises(UserError, match=r"004\.png has 1 pixel with ids outside"):
        jobs()
