import dataclasses
import shutil

import numpy as np
import pytest
from contents import contents
from PIL import Image

from wrp_jax.files.failures import Failures
from wrp_jax.labelling import run
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import Interrupted

KEYS = "a 002\nb 001\n"


@pytest.fixture
def make_run(make_folder, tmp_path, config):
    """A folder with two sequences, labelled frames a/002 and b/001, and truth everywhere."""
    root = make_folder({"a": 5, "b": 3})
    keyframes = tmp_path / "keys.txt"
    keyframes.write_text(KEYS)

    def make(output="out", method="all", data=root):
        request = Request(str(data), tmp_path / output, method, keyframes=str(keyframes))
        return make_plan(config, request)

    make.root = root
    return make


def calls_of(monkeypatch):
    """Records which (method, labelled frame) are computed."""
    calls, original = [], run.label_frames

    def counted(method, *args, **options):
        calls.append(method)
        return original(method, *args, **options)

    monkeypatch.setattr(run, "label_frames", counted)
    return calls


def test_writes_every_frame_of_every_method(make_run, networks):
    plan = make_run()
    results = label_windows(plan, networks)
    files = contents(plan.output)
    for sequence, count in (("a", 5), ("b", 3)):
        for t in range(count):
            for kind in ("labels", "overlays", "confidence"):
                assert f"{sequence}/{kind}/{t:03d}.png" in files
            for method in plan.methods[:-1]:
                assert f"methods/{method}/{sequence}/labels/{t:03d}.png" in files
    key = Image.open(plan.output / "a" / "labels" / "002.png")
    truth = Image.open(make_run.root / "a" / "labels" / "002.png")
    assert key.mode == "P"
    np.testing.assert_array_equal(np.array(key), np.array(truth))
    assert sorted(results[0].confidence) == ["000", "001", "002", "003", "004"]


def test_the_labelled_image_is_moved_along_on_request(make_run, networks, config):
    config.propagation.move_images = True
    plan = make_run()
    label_windows(plan, networks)
    written = sorted(str(p.relative_to(plan.output)) for p in plan.output.rglob("images/*.png"))
    frames = [f"a/images/00{t}.png" for t in range(5)] + [f"b/images/00{t}.png" for t in range(3)]
    assert written == [f"methods/motion-only/{frame}" for frame in frames]
    moved = Image.open(plan.output / "methods/motion-only/a/images/004.png")
    labelled = Image.open(make_run.root / "a/frames/002.png")
    np.testing.assert_array_equal(np.array(moved), np.array(labelled))  # the motion is zero
    assert set(KeptWindows(plan, Failures(plan.output), networks.digest).load()) == {0, 1}
    (plan.output / "methods/motion-only/a/images/004.png").unlink()
    assert set(KeptWindows(plan, Failures(plan.output), networks.digest).load()) == {1}


def test_predictions_do_not_depend_on_labels_that_are_not_known(make_run, networks):
    plan = make_run("clean")
    label_windows(plan, networks)

    scrambled = make_run.root.with_name("scrambled")
    shutil.copytree(make_run.root, scrambled)
    rng = np.random.default_rng(0)
    changed = 0
    for path in scrambled.glob("*/labels/*.png"):
        if f"{path.parts[-3]} {path.stem}" not in KEYS:
            noise = rng.choice(np.array([0, 7, 9], np.uint8), (24, 32))
            Image.fromarray(noise).save(path)
            changed += 1
    assert changed == 6
    other = make_run("noise", data=scrambled)
    label_windows(other, networks)

    clean, noise = contents(plan.output), contents(other.output)
    for name in clean:
        # These hold scores and true labels, which do change.
        if not name.startswith(".") and not {"errors", "truth"} & set(name.split("/")):
            assert clean[name] == noise[name], name
    assert finish(plan, label_windows(plan, networks)) != finish(
        other, label_windows(other, networks)
    )


def test_rerun_after_an_interruption_ends_the_same(make_run, networks, monkeypatch):
    few = {"methods": ("static", "semantic-argmax", "motion-only")}
    whole = dataclasses.replace(make_run("whole"), **few)
    label_windows(whole, networks)

    plan = dataclasses.replace(make_run("cut"), **few)
    original, seen = run.label_frames, []

    def stopped(method, *args, **options):
        seen.append(method)
        if len(seen) == len(plan.methods) + 2:  # in the second window
            raise Interrupted("stopped by SIGTERM")
        return original(method, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(run, "label_frames", stopped)
        with pytest.raises(Interrupted):
            label_windows(plan, networks)
    calls = calls_of(monkeypatch)
    label_windows(plan, networks)
    assert calls == list(plan.methods)  # the first window is not done again
    assert contents(plan.output) == contents(whole.output)


@pytest.mark.parametrize("damage", ["picture", "window file", "frame", "key label"])
def test_only_what_is_missing_or_changed_is_redone(make_run, networks, monkeypatch, damage):
    plan = make_run(method="motion-only")
    before = label_windows(plan, networks)
    calls = calls_of(monkeypatch)
    if damage == "picture":
        (plan.output / "b" / "labels" / "002.png").unlink()
    elif damage == "window file":
        path = OutputFiles(plan).window_path(plan.jobs[1])
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path = make_run.root / "b" / ("frames" if damage == "frame" else "labels") / "001.png"
        Image.fromarray(np.roll(np.array(Image.open(path)), 3, axis=1)).save(path)
    after = label_windows(plan, networks)
    assert calls == ["motion-only"]
    calls.clear()
    label_windows(plan, networks)
    assert calls == []
    assert after[0].confidence == before[0].confidence
    old, new = before[1].matrices["motion-only", 1], after[1].matrices["motion-only", 1]
    assert np.array_equal(old, new) == (damage != "key label")


def test_overlapping_windows_write_the_nearest_and_score_all(
    make_folder, tmp_path, config, networks
):
    root = make_folder({"a": 5})
    windows = tmp_path / "windows.txt"
    windows.write_text("a 001 000 004\na 003 000 004\n")
    request = Request(str(root), tmp_path / "out", "static", windows=str(windows))
    plan = make_plan(config, request)
    results = label_windows(plan, networks)
    for t, key in enumerate(("001", "001", "001", "003", "003")):
        label = np.array(Image.open(plan.output / "a" / "labels" / f"{t:03d}.png"))
        np.testing.assert_array_equal(
            label, np.array(Image.open(root / "a" / "labels" / f"{key}.png"))
        )
    frames = {k: 0 for k in range(1, 5)}
    for result in results.values():
        for (_, k), matrix in result.matrices.items():
            frames[k] += matrix[0].sum() / (24 * 32)
    # From 1: 0 2 at 1, 3 at 2, 4 at 3; from 3: 2 4 at 1, 1 at 2, 0 at 3.
    assert frames == {1: 4, 2: 2, 3: 2, 4: 0}


def test_networks_see_few_frames_at_once_and_none_twice(make_folder, tmp_path, config, networks):
    """However long the window is: memory must not grow with it."""
    config.propagation.horizon = 9
    root = make_folder({"a": 19}, lambda sequence, t: t == 9)
    plan = make_plan(config, Request(str(root), tmp_path / "out"))
    seen, flows, asked = [], [], []

    def segment(clip, positions):
        seen.append(len(positions))
        return networks.segment(clip, positions)

    def motion(clip, targets, sources, initial=None):
        flows.append(len(targets))
        return networks.motion(clip, targets, sources)

    class Watched:
        def label(self, config, window):
            asked.append(window.cues)
            return networks.refiner.label(config, window)

    few = networks._replace(motion=motion, segment=segment, refiner=Watched())
    label_windows(plan, few)
    assert max(seen) <= 4 and sum(seen) == 19
    # Of neighbours once; by motion-only and warp-inpaint, of every third step each way besides.
    assert max(flows) <= 4 and sum(flows) == 2 * 18 + 2 * 2 * 3
    assert len(asked) == 1 and not isinstance(asked[0], HeldCues)
    left = set((plan.output / ".windows").iterdir())
    assert left == {OutputFiles(plan).window_path(plan.jobs[0])}


def test_a_motion_is_told_which_frames_it_sees(make_run, networks):
    plan = make_run(method="motion-only")
    clips = {}

    def motion(clip, targets, sources, initial=None):
        clips[clip.sequence] = clip.names
        last = clip.count - 1  # any frame of the window can be looked at, at any time
        shown = plan.source.frame(clip.sequence, clip.names[last])
        np.testing.assert_array_equal(clip.frame(last), shown)
        return networks.motion(clip, targets, sources)

    label_windows(plan, networks._replace(motion=motion))
    assert clips == {"a": ("000", "001", "002", "003", "004"), "b": ("000", "001", "002")}


def test_all_methods_share_what_networks_say_and_what_was_decoded(make_run, networks, monkeypatch):
    plan = make_run()
    decoded, segmented, moved = [], [], []

    def note(found, function):
        def call(clip, positions, *more):
            found.extend((clip.sequence, int(i), *(int(s[k]) for s in more)) for k, i in
                         enumerate(positions))  # fmt: skip
            return function(clip, positions, *more)

        return call

    original = run.read_frame
    monkeypatch.setattr(
        run, "read_frame", lambda source, *name: (decoded.append(name), original(source, *name))[1]
    )
    counted = networks._replace(
        segment=note(segmented, networks.segment), motion=note(moved, networks.motion)
    )
    label_windows(plan, counted)
    frames = [(s, i) for s, count in (("a", 5), ("b", 3)) for i in range(count)]
    pairs = [(s, i, j) for s, i in frames for j in (i - 1, i + 1) if (s, j) in frames]
    assert sorted(segmented) == frames
    assert sorted(moved) == sorted(pairs)
    assert sorted(decoded) == [(s, f"{i:03d}") for s, i in frames]
