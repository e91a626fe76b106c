import itertools
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.files.verify import verify
from wrp_jax.labelling.finish import finish, scores_text
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.report_files import write_report
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.quality.next_frames import NextFrame
from wrp_jax.quality.table import FrameQuality, read_quality
from wrp_jax.reporting.clips import read_clip_script


def index(path):
    ids = np.array(Image.open(path))
    return np.searchsorted([0, 7, 9], ids)


def run(root, tmp_path, config, networks, **options):
    plan = make_plan(config, Request(str(root), tmp_path / "out", **options))
    return plan, finish(plan, label_windows(plan, networks))


def test_scores_are_those_of_the_written_labels(make_folder, tmp_path, config, networks):
    root = make_folder({"a": 5, "b": 4})
    keyframes = tmp_path / "keys.txt"
    keyframes.write_text("a 002\nb 001\n")
    plan, metrics = run(root, tmp_path, config, networks, method="static", keyframes=str(keyframes))
    for k, frames in {
        1: [("a", 1), ("a", 3), ("b", 0), ("b", 2)],
        2: [("a", 0), ("a", 4), ("b", 3)],
    }.items():
        total = sum(
            confusion(
                index(root / s / "labels" / f"{t:03d}.png"),
                index(plan.output / s / "labels" / f"{t:03d}.png"),
                3,
            )
            for s, t in frames
        )
        expected = 100 * mean_iou(total, (False, False, True))
        assert metrics["methods"]["static"]["miou"][str(k)] == pytest.approx(expected, abs=1e-3)
    assert metrics == json.loads((plan.output / "metrics.json").read_text())
    assert metrics["windows"] == 2 and metrics["frames"] == 9
    assert "±2" in scores_text(metrics) and "static" in scores_text(metrics)


def test_confidence_is_set_against_truth_and_kept_with_the_window(
    make_folder, tmp_path, config, networks
):
    root = make_folder({"a": 5, "b": 4})
    keyframes = tmp_path / "keys.txt"
    keyframes.write_text("a 002\nb 001\n")
    plan, metrics = run(root, tmp_path, config, networks, method="static", keyframes=str(keyframes))
    right = pixels = 0
    for s, t in (("a", 0), ("a", 1), ("a", 3), ("a", 4), ("b", 0), ("b", 2), ("b", 3)):
        true, said = (index(d / s / "labels" / f"{t:03d}.png") for d in (root, plan.output))
        scored = (true < 2) & (said < 2)
        right, pixels = right + int((true == said)[scored].sum()), pixels + int(scored.sum())
    found = metrics["methods"]["static"]["reliability"]
    assert found["pixels"] == pixels and found["accuracy"] == pytest.approx(right / pixels)
    assert found["confidence"] == 1.0 and len(found["curve"]) == 1
    assert finish(plan, label_windows(plan, networks)) == metrics  # read back, not labelled again


def test_frames_with_truth_have_pictures_of_it_and_of_the_errors(
    make_folder, tmp_path, config, networks
):
    root = make_folder({"a": 5}, lambda s, t: t in (1, 2))
    keys = tmp_path / "keys.txt"
    keys.write_text("a 002\n")
    plan, _ = run(root, tmp_path, config, networks, method="all", keyframes=str(keys))
    for method in plan.methods:
        home = plan.output if method == plan.main else plan.output / "methods" / method
        assert [path.name for path in home.glob("a/errors/*")] == ["001.png"]
        said, true = (index(d / "a/labels/001.png") for d in (home, root))
        state = np.array(Image.open(home / "a/errors/001.png"))
        np.testing.assert_array_equal(state == 1, (said != true) & (true < 2))
    np.testing.assert_array_equal(index(plan.output / "a/truth/001.png"), true)
    assert read_clip_script((plan.output / "a/frames.js").read_text())["scored"] == [1]
    # Every class that the true label shows leads to the one scored frame, with its IoU there.
    page = (plan.output / "report.html").read_text()
    said = index(plan.output / "a/labels/001.png")
    for number in np.unique(true[true < 2]):
        hit, either = (f(said == number, true == number) for f in (np.logical_and, np.logical_or))
        score = 100 * (hit & (true < 2)).sum() / (either & (true < 2)).sum()
        assert f'"#at=a/001">worst in a 001</a>, <span class="num">{score:.1f}<' in page


def test_the_report_tells_of_quality_and_of_frames_to_label(
    make_folder, tmp_path, config, networks
):
    root = make_folder({"a": 5, "b": 3}, lambda s, t: s == "a" and t == 2)
    plan = make_plan(config, Request(str(root), tmp_path / "out", method="static", horizon=1))
    results = label_windows(plan, networks)
    rows = [
        FrameQuality("a", "001", 1, 51.5, 40.0, 60.0, 9.0, "far", {"car": 31.5, "road": 95.0}),
        FrameQuality("a", "002", 0, 100.0, 100.0, 100.0, 0.0, "labelled by hand", {}),
        FrameQuality("a", "003", 1, 90.0, 85.0, 95.0, 3.0, "few", {"road": 90.0}),
        FrameQuality("a", "004", 2, 0.0, 0.0, 0.0, 100.0, "out of reach", {}),
    ]
    chosen = [NextFrame("a", "001", 7.0, 7.0, 51.5, 2)]
    metrics = finish(plan, results)
    write_report(plan, results, metrics, metrics["notes"], rows, chosen)
    clip = read_clip_script((plan.output / "a/frames.js").read_text())
    assert clip["miou"] == [None, 51.5, 100.0, 90.0, None]
    assert clip["range"][1] == [40.0, 60.0] and clip["doubtful"] == {"1": "far"}
    assert [sure is None for sure in clip["confidence"]] == [True, False, False, False, True]
    page = (plan.output / "report.html").read_text()
    assert '"rows":[["a","001","7.00","7.00","51.5","2"]]' in page
    for frame, iou in (("003", 90.0), ("001", 31.5)):  # of the road and of the car
        assert f'"#at=a/{frame}">worst in a {frame}</a>, <span class="num">{iou}<' in page


def test_the_report_says_how_good_frames_are_held_to_be(make_folder, tmp_path, config, networks):
    root = make_folder({"a": 5, "b": 3}, lambda s, t: s == "a" and t == 2)
    plan, _ = run(root, tmp_path, config, networks, method="motion-only", horizon=1)
    judged = read_quality(plan.output / "quality.csv")
    rows = {row.frame: row.miou for row in judged if row.sequence == "a"}
    clip = read_clip_script((plan.output / "a/frames.js").read_text())
    near = [pytest.approx(rows[name], abs=0.06) for name in ("001", "003")]
    assert clip["miou"] == [None, near[0], 100.0, near[1], None]  # labelled by hand
    assert [sure is None for sure in clip["confidence"]] == [True, False, False, False, True]
    page = (plan.output / "report.html").read_text()
    first = (plan.output / "next_frames.csv").read_text().splitlines()[1].split(",")
    assert f'"rows":[["{first[1]}","{first[2]}"' in page
    assert "1 clip of the video is not listed: none of its frames is labelled (b)." in page
    assert not verify(plan.output)[1]


def test_flips_are_counted_where_labels_move(make_folder, tmp_path, config, networks):
    root = make_folder({"a": 5}, lambda s, t: t != 4)
    keys = tmp_path / "keys.txt"
    keys.write_text("a 002\n")
    plan, metrics = run(root, tmp_path, config, networks, method="all", keyframes=str(keys))
    labels = [index(plan.output / "a" / "labels" / f"{t:03d}.png") for t in range(5)]
    true = [index(root / "a" / "labels" / f"{t:03d}.png") for t in range(4)]
    changed = [[(a != b).mean() for a, b in itertools.pairwise(of)] for of in (labels, true)]
    wanted = (100 * np.mean(parts) for parts in (changed[0], changed[0][:3], changed[1]))
    found = metrics["methods"]["warp-refine"]["flips"]
    assert [*found] == ["all", "scored", "truth"]
    assert [*found.values()] == pytest.approx([*wanted], abs=1e-3)
    assert metrics["methods"]["motion-only"]["flips"]["all"] == 0  # nothing moves
    assert finish(plan, label_windows(plan, networks)) == metrics  # read back


def test_without_truth_there_is_a_report_and_no_score(make_folder, tmp_path, config, networks):
    root = make_folder({"a": 5}, lambda s, t: t == 2)
    plan, metrics = run(root, tmp_path, config, networks, method="motion-only")
    assert metrics["methods"]["motion-only"]["miou"] == {}
    assert metrics["methods"]["motion-only"]["mean"] is None
    assert "nothing is scored" in scores_text(metrics)
    page = (plan.output / "report.html").read_text()
    assert "No other frame has a true label" in page and "wrp export" in page
    assert not list(plan.output.glob("*/errors")) and not list(plan.output.glob("*/truth"))
    clip = read_clip_script((plan.output / "a" / "frames.js").read_text())
    assert (clip["keys"], clip["scored"], clip["nearest"]) == ([2], [], [2] * 5)
    assert clip["pictures"]["files"][3] == "003.png"
    assert clip["pictures"]["address"] == (root / "a" / "frames").as_uri()


def test_tfds_reads_the_labels_without_this_package(make_folder, tmp_path, config, networks):
    root = make_folder({"a": 4}, lambda s, t: t == 1)
    plan, _ = run(root, tmp_path, config, networks, method="static")
    builder = tfds.builder_from_directory(plan.output / "tfds")
    elements = list(builder.as_data_source("train"))
    assert (
        len(elements) == 4
        and [bool(e["is_keyframe"]) for e in elements] == [False, True] + [False] * 2
    )
    for t, element in enumerate(elements):
        written = np.array(Image.open(plan.output / "a" / "labels" / f"{t:03d}.png"))
        np.testing.assert_array_equal(np.asarray(element["label"])[..., 0], written)


@pytest.mark.parametrize("more", [[], ["a 000", "a 003", "b 001"]])
def test_scores_on_training_labels_are_pointed_out(make_folder, tmp_path, config, networks, more):
    root = make_folder({"a": 4})
    windows = tmp_path / "windows.txt"
    windows.write_text("a 001 000 003\n")
    request = Request(str(root), tmp_path / "out", "static", windows=str(windows))
    plan = make_plan(config, request)
    metrics = finish(plan, label_windows(plan, networks), frozenset(["a 001", *more]))
    page = (plan.output / "report.html").read_text()
    says = "trained on the labels of 2 of the frames that are scored"
    assert (says in page) == bool(more) == (says in "".join(metrics["notes"]))
