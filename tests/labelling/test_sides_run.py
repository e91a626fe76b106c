"""Runs that label what lies between two labelled frames from both."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from wrp_jax.files.failures import Failures
from wrp_jax.labelling import run
from wrp_jax.labelling.dry_run import describe_labels
from wrp_jax.labelling.finish import finish, out_of_reach
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.types import Interrupted, Window


@pytest.fixture
def make(make_folder, tmp_path, config):
    """``make(sides)`` plans ten frames with labelled frames 1 and 6, and truth everywhere."""
    root, keys = make_folder({"a": 10}), tmp_path / "keys.txt"
    keys.write_text("a 001\na 006\n")

    def plan(sides, output="out", method="motion-only", horizon=2):
        config.propagation.sides, config.propagation.horizon = sides, horizon
        request = Request(str(root), tmp_path / output, method, keyframes=str(keys))
        return make_plan(dataclasses.replace(config), request)

    return plan


def labels(plan):
    return {
        path.stem: np.array(Image.open(path))
        for path in sorted((plan.output / "a" / "labels").glob("*.png"))
    }


def test_both_sides_label_a_gap_once(make, networks):
    plan = make("both")
    assert [job.window for job in plan.jobs] == [
        Window("a", "001", "000", "001"),
        Window("a", "001", "001", "006", "006", 2),
        Window("a", "006", "006", "008"),
    ]
    written = [(job.number, job.names[i], i - job.nearest(i)) for job, i in plan.written()]
    assert written == [
        (0, "000", -1), (0, "001", 0), (1, "002", 1), (1, "003", 2), (1, "004", -2),
        (1, "005", -1), (1, "006", 0), (2, "007", 1), (2, "008", 2),
    ]  # fmt: skip
    results = label_windows(plan, networks)
    metrics = finish(plan, results)
    assert metrics["protocol"] == "both" and metrics["frames"] == 9
    assert metrics["out_of_reach"] == {"a": [["009", "009"]]}
    assert sorted(labels(plan)) == [f"00{t}" for t in range(9)]
    assert "1 of 10 frames have no label" in metrics["notes"][0]
    assert "a 009" in (plan.output / "report.html").read_text()
    assert metrics == json.loads((plan.output / "metrics.json").read_text())
    assert list(metrics["methods"]["motion-only"]["miou"]) == ["1", "2"]
    matrix = sum(result.matrices["motion-only", 1][0].sum() for result in results.values())
    assert matrix == 4 * 24 * 32  # 0 and 2, 5 and 7: labelled frames are not scored
    assert finish(plan, label_windows(plan, networks)) == metrics  # read back


@pytest.mark.parametrize("method", ["motion-only", "flow-voting"])
def test_stopped_and_run_again_is_the_same(make, networks, monkeypatch, method):
    whole, plan = make("both", "whole", method), make("both", "cut", method)
    label_windows(whole, networks)
    original, seen = run.label_frames, []

    def stopped(method, *arguments):
        for said in original(method, *arguments):
            seen.append(said.frame)
            if len(seen) == 5:  # between two labelled frames
                raise Interrupted("stopped by SIGTERM")
            yield said

    with monkeypatch.context() as patch:
        patch.setattr(run, "label_frames", stopped)
        with pytest.raises(Interrupted):
            label_windows(plan, networks)
    label_windows(plan, networks)
    for name, label in labels(whole).items():
        np.testing.assert_array_equal(labels(plan)[name], label)


def test_nearest_and_listed_windows_are_as_they_were(make, networks, tmp_path, config):
    plan = make("nearest")
    assert [len(job.keys) for job in plan.jobs] == [1, 1] and plan.protocol == "nearest"
    assert out_of_reach(plan) == {"a": [("009", "009")]}
    assert plan.windows == plan.around == make("both").around
    listed = tmp_path / "windows.txt"
    listed.write_text("a 001 000 003\na 006 004 009\n")
    config.propagation.sides = "both"
    request = Request(plan.source.name, tmp_path / "x", "static", windows=str(listed))
    plan = make_plan(config, request)
    assert [job.window.other for job in plan.jobs] == [None, None]
    assert plan.protocol == "windows" and out_of_reach(plan) == {}


def test_one_side_writes_what_windows_of_a_list_do(make, networks, tmp_path, config):
    """The paper's protocol: one labelled frame per window, and nobody else has a say in it."""
    near = make("nearest", "near", method="warp-inpaint")
    listed = tmp_path / "windows.txt"
    listed.write_text("a 001 000 003\na 006 004 008\n")
    config.propagation.sides = "both"  # has no effect on windows of a list
    request = Request(near.source.name, tmp_path / "list", "warp-inpaint", windows=str(listed))
    plans = near, make_plan(config, request)
    found = [finish(plan, label_windows(plan, networks))["methods"] for plan in plans]
    assert found[0] == found[1]
    files = [
        {path.name + path.parent.name: path.read_bytes() for path in plan.output.rglob("a/*/*.png")}
        for plan in plans
    ]
    # Truth and errors of those that are not labelled by hand besides.
    assert files[0] == files[1] and len(files[0]) == 3 * 9 + 2 * 7
    # Nothing moves: every frame has the label of the nearest one, of two the earlier.
    plan = make("nearest", "still")
    label_windows(plan, networks)
    said = labels(plan)
    for frame, key in enumerate([1, 1, 1, 1, 6, 6, 6, 6, 6]):
        np.testing.assert_array_equal(said[f"00{frame}"], said[f"00{key}"])
    assert (said["001"] != said["006"]).any()


def test_sequences_without_a_labelled_frame_are_out_of_reach(
    make_folder, tmp_path, config, networks
):
    root = make_folder({"a": 4, "b": 3, "c": 1}, lambda s, t: (s, t) == ("a", 0))
    plan = make_plan(config, Request(str(root), tmp_path / "out", "static"))
    assert out_of_reach(plan) == {
        "a": [("003", "003")], "b": [("000", "002")], "c": [("000", "000")],
    }  # fmt: skip
    (note,) = finish(plan, label_windows(plan, networks))["notes"]
    assert note.startswith("5 of 8 frames have no label")
    assert "(a 003, all of b, all of c)" in note


def test_a_long_gap_is_labelled_as_far_as_labels_reach(make, networks):
    plan = make("both", horizon=1)  # five frames lie between the labelled ones: too far
    assert [len(job.keys) for job in plan.jobs] == [1, 1]
    assert out_of_reach(plan) == {"a": [("003", "004"), ("008", "009")]}


def test_all_within_reach_have_a_say_and_a_changed_label_is_heard(
    make_folder, tmp_path, config, networks
):
    root, keys = make_folder({"a": 10}), tmp_path / "keys.txt"
    keys.write_text("a 001\na 004\na 006\n")
    config.propagation.horizon = 3

    def plan(sides):
        config.propagation.sides = sides
        request = Request(str(root), tmp_path / sides, "motion-only", keyframes=str(keys))
        return make_plan(dataclasses.replace(config), request)

    found = plan("all")
    assert [job.window.further for job in found.jobs] == [
        ("004", "006"), ("006",), ("001",), ("001", "004"),
    ]  # fmt: skip
    both = plan("both")
    for one, two in zip(found.written(), both.written(), strict=True):
        assert one[0].names[one[1]] == two[0].names[two[1]]
        assert one[0].start + one[1] == two[0].start + two[1]
    told = list(describe_labels(found, networks))
    assert "this run: 4 windows, 13 frames, labelled ones included" in told  # ends belong to two
    assert any(line.startswith("time: about") for line in told)
    metrics = finish(found, label_windows(found, networks))
    assert metrics["protocol"] == "all"
    label_windows(both, networks)
    said, fewer = labels(found), labels(both)
    assert said.keys() == fewer.keys()
    assert any((said[name] != fewer[name]).any() for name in said)
    for key in ("001", "004", "006"):
        np.testing.assert_array_equal(said[key], fewer[key])
    changed = root / "a" / "labels" / "001.png"
    Image.open(changed).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(changed)
    again = plan("all")
    touched = KeptWindows(again, Failures(again.output)).relabelled().touched
    assert touched == {0, 1, 2, 3}  # far ones, too


def test_all_of_two_are_both(make, networks):
    both, found = make("both", "both"), make("all", "all")
    assert both.windows == found.windows
    label_windows(both, networks)
    label_windows(found, networks)
    for name, label in labels(both).items():
        np.testing.assert_array_equal(labels(found)[name], label)
