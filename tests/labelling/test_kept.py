"""A rerun keeps the windows whose frames, labels and files are as they were, and no others."""

import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

from wrp_jax.files.verify import verify
from wrp_jax.labelling import kept, run
from wrp_jax.labelling.dry_run import describe_labels
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.plan import CHANGED, check_free, claim, make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.types import UserError


@pytest.fixture
def rerun(make_folder, tmp_path, config, networks, monkeypatch):
    """``rerun()`` labels the folder and returns the labelled frames of the windows it made."""
    root = make_folder({"a": 5, "b": 4}, lambda sequence, t: t == 1)
    made, original = [], run._label_window

    def counted(plan, job, *arguments):
        made.append(f"{job.window.sequence} {job.window.key}")
        return original(plan, job, *arguments)

    monkeypatch.setattr(run, "_label_window", counted)

    def label():
        made.clear()
        config.propagation.horizon = 9
        plan = make_plan(config, Request(str(root), tmp_path / "out", "static"))
        claim(plan, networks.digest)
        finish(plan, label_windows(plan, networks))
        return list(made)

    label.root, label.out = root, tmp_path / "out"
    assert label() == ["a 001", "b 001"]
    assert label() == []
    return label


def test_a_dry_run_finds_what_is_finished_without_run_json(rerun, config, networks):
    (rerun.out / "run.json").unlink()
    plan = make_plan(config, Request(str(rerun.root), rerun.out, "static"))
    said = list(describe_labels(plan, networks))
    assert "finished before: 2 windows" in said and said[-1] == "time: none"
    assert not (rerun.out / "run.json").exists() and rerun() == []


def repaint(path):
    pixels = np.array(Image.open(path))
    pixels[:4] ^= 1
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("name", ["000", "001", "002", "003"])
def test_any_frame_counts(rerun, name):
    repaint(rerun.root / "a/frames" / f"{name}.png")
    assert rerun() == ["a 001"]
    assert rerun() == []
    assert verify(rerun.out)[1] == []


@pytest.mark.parametrize(
    "name", ["a/labels/003.png", "a/overlays/000.png", "a/confidence/004.png", "a/labels/001.png"]
)
@pytest.mark.parametrize("damage", ["repainted", "cut", "gone"])
def test_damaged_results_are_made_again(rerun, caplog, name, damage):
    path = rerun.out / name
    before = path.read_bytes()
    if damage == "repainted":
        repaint(path)
    elif damage == "cut":
        path.write_bytes(before[:-20])
    else:
        path.unlink()
    count, faults = verify(rerun.out)
    assert len(faults) == 1 and name in faults[0] and count > 20
    assert rerun() == ["a 001"]
    assert path.read_bytes() == before
    assert [m for m in caplog.messages if name in m][:1] == [
        f"{path} {'is gone' if damage == 'gone' else 'was changed after it was written'}: it is "
        "made again"
    ]
    assert (rerun.out / CHANGED).exists() == (damage == "repainted" and "/labels/" in name)
    assert verify(rerun.out) == (count, []) and rerun() == []


@pytest.mark.parametrize(
    ("kind", "how"), [("labels", "changed"), ("labels", "gone"), ("frames", "changed")]
)
def test_what_changes_while_it_is_read_is_read_again(rerun, caplog, monkeypatch, kind, how):
    """Also where it is by then what it was at the beginning: labels were made from another."""
    result, path = rerun.out / "a/labels/003.png", rerun.root / f"a/{kind}/001.png"
    expected, before, original = result.read_bytes(), path.read_bytes(), run._label_window

    def meanwhile(plan, job, *arguments):
        other = np.array(Image.open(path))
        other[:2] = other[-1, -1]
        Image.fromarray(other).save(path)
        original(plan, job, *arguments)
        if how == "gone":
            path.unlink()

    (rerun.out / "a/overlays/003.png").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(run, "_label_window", meanwhile)
        rerun()
    assert "of a around 001 were changed while they were read" in caplog.text
    assert (result.read_bytes() == expected) == (kind == "frames")
    path.write_bytes(before)
    assert rerun() == ["a 001"] and result.read_bytes() == expected
    assert rerun() == [] and not (rerun.out / CHANGED).exists()


@pytest.mark.parametrize("added", [False, True])
def test_labels_that_were_corrected_in_the_output_are_not_lost(rerun, caplog, added):
    """The correction is of frame 003; where a label is added, its window is made anew for that."""
    path, place = rerun.out / "a/labels/003.png", rerun.out / CHANGED / "a/labels"
    before = path.read_bytes()
    corrections = []
    for name in ("003.png", "003-2.png"):
        repaint(path)
        pixels = np.array(Image.open(path))
        pixels[4:6] = len(corrections)
        Image.fromarray(pixels).save(path)
        corrections.append(path.read_bytes())
        if added:
            label = rerun.root / "a/labels/004.png"
            label.unlink() if label.exists() else shutil.copy(label.with_name("001.png"), label)
        rerun()
        assert f"{path}: somebody has changed" in caplog.text and str(place / name) in caplog.text
        caplog.clear()
        assert (place / name).read_bytes() == corrections[-1]
    assert path.read_bytes() == before and rerun() == []
    assert (place / "003.png").read_bytes() == corrections[0]
    assert not caplog.messages and verify(rerun.out)[1] == []


def test_a_dry_run_tells_labels_that_were_changed_in_the_output(rerun, config, networks):
    path = rerun.out / "a/labels/003.png"
    repaint(path)
    before = path.read_bytes()
    plan = make_plan(config, Request(str(rerun.root), rerun.out, "static"))
    told = f"changed in the output: 1 label, the first is {path}; a run moves such"
    said = describe_labels(plan, networks)
    assert any(line.startswith(told) for line in itertools.islice(said, 2))
    assert path.read_bytes() == before


def test_a_correction_that_the_data_have_is_not_kept_twice(rerun, caplog):
    path = rerun.out / "a/labels/003.png"
    pixels = np.array(Image.open(path))
    pixels[4:6] = 7
    Image.fromarray(pixels).save(path)
    shutil.copy(path, rerun.root / "a/labels/003.png")
    rerun()
    assert not (rerun.out / CHANGED).exists() and "somebody" not in caplog.text


@pytest.mark.parametrize("name", ["002", "000", "004"])
def test_labels_of_removed_frames_do_not_stay(rerun, caplog, name):
    (rerun.root / "a/frames" / f"{name}.png").unlink()
    assert rerun() == ["a 001"]
    assert not list((rerun.out / "a").glob(f"*/{name}.png"))
    assert f"a/confidence/{name}.png" in caplog.text
    assert verify(rerun.out)[1] == [] and rerun() == []


def test_added_frames_are_labelled(rerun):
    shutil.copy(rerun.root / "b/frames/003.png", rerun.root / "b/frames/004.png")
    assert rerun() == ["b 001"]
    assert (rerun.out / "b/labels/004.png").is_file()
    assert rerun() == []


def test_frames_in_another_order_are_others(rerun):
    (rerun.root / "b/frames.txt").write_text("000\n001\n003\n002\n")
    assert rerun() == ["b 001"]


def test_another_version_of_the_labels_makes_all_again(rerun, monkeypatch):
    monkeypatch.setattr(kept, "RESULT_VERSION", kept.RESULT_VERSION + 1)
    assert rerun() == ["a 001", "b 001"]


def test_a_moved_input_is_the_same(rerun, tmp_path):
    """What counts are the bytes of the files: a copy has other times and inodes."""
    shutil.copytree(rerun.root, tmp_path / "copy")
    shutil.rmtree(rerun.root)
    (tmp_path / "copy").rename(rerun.root)
    assert rerun() == []


def test_what_is_made_from_all_windows_is_verified(rerun):
    for name in ("metrics.json", "report.html", "tfds/dataset_info.json"):
        path = rerun.out / name
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        assert [name in fault for fault in verify(rerun.out)[1]] == [True]
        assert rerun() == []
        assert path.read_bytes() == before
        assert verify(rerun.out)[1] == []


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_without_its_run_file_an_output_goes_on(rerun, config, tmp_path, damage):
    path = rerun.out / "run.json"
    before = path.read_bytes()

    def spoil():
        path.unlink()
        if damage == "cut":
            path.write_bytes(before[:-9])

    spoil()
    plan = make_plan(config, Request(str(rerun.root), tmp_path / "out", "static"))
    check_free(plan)
    assert rerun() == [] and path.read_bytes() == before
    spoil()
    config.propagation.tau = 0.1  # another run's files are not taken for this one's
    check_free(plan)
    assert rerun() == ["a 001", "b 001"] and rerun() == []
    spoil()
    (rerun.out / "a/labels/mine.png").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"mine\.png is there already and not of an earlier run"):
        check_free(plan)


def test_verify_needs_the_output_alone_and_writes_nothing(rerun, wrp, capsys):
    shutil.rmtree(rerun.root)
    before = {path: path.stat().st_mtime_ns for path in rerun.out.rglob("*")}
    for words in (("--verify", f"--output={rerun.out}"), ("--verify", rerun.out)):
        assert wrp("propagate", *words) == 0
        assert "files are as they were written" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in rerun.out.rglob("*")} == before
    (rerun.out / "a/labels/000.png").unlink()
    repaint(rerun.out / "b/labels/001.png")
    assert wrp("propagate", f"--output={rerun.out}", "--verify") == 2
    error = capsys.readouterr().err
    assert f"{rerun.out / 'a/labels/000.png'} is gone.\n" in error
    assert f"{rerun.out / 'b/labels/001.png'} was changed after it was written.\n" in error
    assert "2 of " in error and "makes them again" in error and error.count("\n") == 3
    assert wrp("propagate", "--verify") == 2
    assert "--output is missing" in capsys.readouterr().err
