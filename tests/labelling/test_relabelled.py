"""Labels that are added, corrected and removed: their spans alone are made again."""

import dataclasses

import numpy as np
import pytest
from contents import contents
from PIL import Image

from wrp_jax.cli import propagate as command
from wrp_jax.files.failures import Failures
from wrp_jax.files.shards import Shard
from wrp_jax.files.verify import verify
from wrp_jax.labelling import run
from wrp_jax.labelling.dry_run import describe_labels
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.merging import unfinished
from wrp_jax.labelling.plan import claim, make_plan
from wrp_jax.labelling.relabelled import Relabelled, WindowLabels, relabelled
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.types import Interrupted, UserError, Window

LENGTHS = {"a": 14, "b": 9, "c": 5}
LABELLED = {("a", 1), ("a", 5), ("a", 12), ("b", 2), ("b", 6), ("c", 2)}


@pytest.fixture
def root(make_folder):
    return make_folder(LENGTHS, lambda sequence, t: (sequence, t) in LABELLED)


@pytest.fixture
def label(label, config):
    config.propagation.horizon = 3
    return label


def times(folder):
    """Of the files that belong to one span each."""
    return {
        path: path.stat().st_mtime_ns
        for pattern in ("*/labels/*", "*/confidence/*", "*/overlays/*", ".windows/*")
        for path in folder.glob(pattern)
    }


def draw(root, frame, shift=0):
    """A label for a frame, moved down by some rows."""
    sequence, t = frame
    ids = np.array(Image.open(root / "a/labels/001.png"))
    Image.fromarray(np.roll(ids, shift, 0)).save(root / sequence / "labels" / f"{t:03d}.png")


def add(root):
    draw(root, ("a", 8))


def correct(root):
    draw(root, ("a", 5), 3)


def remove(root):
    (root / "a/labels/012.png").unlink()


def empty(root):
    (root / "c/labels/002.png").unlink()


def all_of_it(root):
    for change in (add, correct, empty):
        change(root)


ADDED = "2 of 9 spans are made again: new label frame 008 of a"
STEPS = (
    (add, ["a 005 008", "a 008 012"], 9, ADDED),
    (correct, ["a 001 005", "a 005 008"], 9,
     "2 of 9 spans are made again: changed label frame 005 of a"),
    (remove, ["a 008"], 8, "1 of 8 spans is made again: no label frame 012 of a any more"),
    (empty, [], 7, "no span is made again: no label frame 002 of c any more"),
)  # fmt: skip
ALL = ["a 001 005", "a 005 008", "a 008 012"]


def test_spans_of_changed_labels_alone_are_made_again(label, root, tmp_path, caplog):
    label()
    assert len(label.made) == 8
    out = tmp_path / "out"
    for change, made, spans, sentence in STEPS:
        before = times(out)
        caplog.clear()
        change(root)
        label()
        assert label.made == made
        assert [m for m in caplog.messages if "again" in m] == [f"{out}: {sentence}"]
        # All others are the files that they were: not even written again.
        kept = {path for path, time in times(out).items() if before.get(path) == time}
        windows = sum(path.suffix == ".npz" for path in kept)
        assert windows == spans - len(made)
        assert {path for path in kept if path.parts[-3] == "b"} == set(out.glob("b/*/*.png"))
    caplog.clear()
    label()
    assert label.made == [] and caplog.messages == []
    assert verify(out)[1] == []
    label("fresh")
    assert contents(out) == contents(tmp_path / "fresh")


def test_files_of_all_methods_are_those_of_a_fresh_run(root, tmp_path, config, networks):
    config.propagation.horizon = 3

    def label(output):
        plan = make_plan(config, Request(str(root), tmp_path / output))
        plan = dataclasses.replace(plan, methods=("static", "motion-only"))
        claim(plan, networks.digest)
        finish(plan, label_windows(plan, networks))
        return plan

    label("out")
    all_of_it(root)
    plan = label("out")
    label("fresh")
    assert contents(plan.output) == contents(tmp_path / "fresh")


def test_keyframes_of_a_list_may_change(label, root, tmp_path):
    listed = tmp_path / "keys.txt"
    listed.write_text("a 001\na 005\n")
    label(keyframes=str(listed))
    listed.write_text("a 001\na 005\nb 002\na 012\n")
    label(keyframes=str(listed))
    assert label.made == ["a 005 012", "a 012", "b 002"]
    label("fresh", keyframes=str(listed))
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")
    listed.write_text("a 001\n")
    label(keyframes=str(listed))
    assert not list((tmp_path / "out").glob("b")) and label.made == ["a 001"]


def test_other_options_are_refused_still(label, root, tmp_path, config):
    label()
    add(root)
    before = contents(tmp_path / "out")
    listed = tmp_path / "windows.txt"
    listed.write_text("a 001 000 004\n")
    for differs, more in (
        ("methods", {"method": "motion-only"}),
        ("horizon", {"horizon": 2}),
        ("protocol", {"windows": str(listed)}),
    ):
        with pytest.raises(UserError, match=f"differs in {differs}"):
            label(**more)
    config.propagation.tau = 0.1
    with pytest.raises(UserError, match=r"differs in propagation\.tau"):
        label()
    assert contents(tmp_path / "out") == before


def test_stopped_in_the_middle_and_run_again_is_the_same(label, root, tmp_path, monkeypatch):
    label()
    all_of_it(root)
    original, stops = run.label_frames, [2, 3]

    def stopped(method, *arguments):
        for frame, said in enumerate(original(method, *arguments)):
            if len(label.made) == stops[0] and frame == 2:
                raise Interrupted("stopped by SIGTERM")
            yield said

    with monkeypatch.context() as patch:
        patch.setattr(run, "label_frames", stopped)
        for stops[0] in (2, 1):
            with pytest.raises(Interrupted):
                label()
    label()
    assert label.made == ["a 005 008", "a 008 012"]  # what was finished stays
    label("fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_shards_take_a_changed_set(label, root, tmp_path, config):
    label()
    correct(root)
    draw(root, ("b", 2), 3)
    request = Request(str(root), tmp_path / "out", "static", shard=Shard(0, 2))
    assert unfinished(make_plan(config, request)) == (0, 1)  # whose files are there
    assert label("out", 1, 2) == {}
    made = list(label.made)
    with pytest.raises(UserError, match="1 of 2 shards is not finished"):
        command.merge_shards(tmp_path / "out")
    metrics = label("out", 0, 2)
    assert sorted(made + label.made) == ["a 001 005", "a 005 012", "b 002", "b 002 006"]
    assert metrics == label("fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_dry_run_says_what_a_change_will_do(label, root, tmp_path, config, networks):
    label()
    add(root)
    before = contents(tmp_path / "out")
    plan = make_plan(config, Request(str(root), tmp_path / "out", "static"))
    lines = list(describe_labels(plan, None))
    assert f"labels: {ADDED}" in lines
    assert "finished before: 7 windows" in lines
    assert contents(tmp_path / "out") == before


def test_a_first_run_that_was_stopped_has_nothing_to_say(label, root, tmp_path, config):
    label(limit=2)
    plan = make_plan(config, Request(str(root), tmp_path / "out", "static"))
    kept = KeptWindows(plan, Failures(plan.output))
    assert kept.relabelled() == Relabelled() and kept.relabelled().sentence(7) == ""


def test_a_label_that_two_spans_share_is_told_once(config, root, tmp_path):
    plan = make_plan(config, Request(str(root), tmp_path / "out", "static"))
    jobs = [job for job in plan.jobs if job.window.sequence == "b"]
    assert [job.window for job in jobs][1] == Window("b", "002", "002", "006", "006", 2)
    labels = {j.number: WindowLabels("b", dict.fromkeys(j.window.keys, "x")) for j in jobs}
    before = {j.number: WindowLabels("b", dict.fromkeys(j.window.keys, "y")) for j in jobs}
    found = relabelled(jobs, labels, before)
    assert found.changed == (("b", "002"), ("b", "006")) and len(found.touched) == 3
    many = Relabelled(added=tuple(("b", f"{i}") for i in range(6)), touched=frozenset({1}))
    assert many.sentence(2) == (
        "1 of 2 spans is made again: new label frames 0, 1, 2, 3 of b and 2 more"
    )
