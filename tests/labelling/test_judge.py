"""Estimated quality of runs: quality.csv, next_frames.csv, --min_quality."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.judge import run_calibration
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.quality.next_frames import NEXT_FRAMES_FILE
from wrp_jax.quality.table import QUALITY_FILE, read_quality
from wrp_jax.types import UserError


@pytest.fixture
def make(make_folder, tmp_path, config):
    """``make()`` plans ten frames with labelled frames 1 and 6; nothing moves, the square does."""
    root, keys = make_folder({"a": 10}), tmp_path / "keys.txt"
    keys.write_text("a 001\na 006\n")

    def plan(method="motion-only", output="out", **more):
        request = Request(str(root), tmp_path / output, method, keyframes=str(keys), **more)
        return make_plan(dataclasses.replace(config), request)

    return plan


def test_every_frame_has_its_row_and_left_out_frames_move_the_level(make, networks):
    plan = make()
    results = label_windows(plan, networks)
    finish(plan, results)
    rows = read_quality(plan.output / QUALITY_FILE)
    assert [row.frame for row in rows] == [f"{t:03d}" for t in range(10)]
    by_frame = {row.frame: row for row in rows}
    assert by_frame["001"].miou == 100 and by_frame["001"].reason == "labelled by hand"
    assert by_frame["009"].miou == 0 and by_frame["009"].reason == "out of reach"
    assert by_frame["009"].distance == 3
    assert set(by_frame["003"].iou) == {"road", "car"}  # void has no column
    # The square moves on while its label stays: the further away, the worse.
    assert by_frame["002"].miou > by_frame["003"].miou
    assert all(row.miou_low <= row.miou <= row.miou_high for row in rows)
    # Labels 1 and 6 are each shown by the other, five frames away.
    assert run_calibration(plan, results, "motion-only").left_out == 2
    middle = next(r for r in results.values() if len(r.left_out["motion-only"]))
    matrices = middle.left_out_matrices["motion-only"]
    assert matrices.shape == (2, 3, 4) and (matrices.sum(axis=(1, 2)) == 24 * 32).all()
    assert matrices[0, 1, 0] == 5 * 8  # car that stands on the road
    assert (plan.output / NEXT_FRAMES_FILE).read_text().count("\n") > 1


def test_the_same_bytes_when_windows_are_read_back(make, networks, config):
    config.propagation.sides = "nearest"
    plan = make(method="all")
    finish(plan, label_windows(plan, networks))
    paths = [plan.output / QUALITY_FILE, plan.output / "methods/motion-only" / QUALITY_FILE]
    first = [path.read_bytes() for path in paths]
    assert not (plan.output / "methods/static" / QUALITY_FILE).exists()
    finish(plan, label_windows(plan, networks))
    assert [path.read_bytes() for path in paths] == first
    paths[0].unlink()
    finish(plan, label_windows(plan, networks, limit=0))
    assert paths[0].read_bytes() == first[0]


def test_frames_below_a_quality_stay_out_of_the_data_set(make, networks):
    whole = make()
    finish(whole, label_windows(whole, networks))
    rows = read_quality(whole.output / QUALITY_FILE)
    least = float(np.median([row.miou for row in rows]))
    plan = make(min_quality=least)
    metrics = finish(plan, label_windows(plan, networks))
    poor = [row.frame for row in rows if row.miou < least and row.frame != "009"]
    assert metrics["below_quality"] == {"a": poor} and poor
    assert f"{len(poor)} of 9 frames" in "".join(metrics["notes"])
    assert metrics == json.loads((plan.output / "metrics.json").read_text())
    kept = tfds.builder_from_directory(str(plan.output / "tfds")).as_data_source("train")
    assert len(kept) == 9 - len(poor)
    by_frame = {row.frame: row for row in read_quality(plan.output / QUALITY_FILE)}
    for element in kept:
        row = by_frame[element["frame"].decode()]
        for name in ("miou", "miou_low", "miou_high", "doubtful"):
            assert float(element[name]) == pytest.approx(getattr(row, name), abs=1e-4)
    finish(make(), label_windows(make(), networks))  # and come back
    assert (
        tfds.builder_from_directory(str(plan.output / "tfds")).info.splits.total_num_examples == 9
    )


def test_an_unrelated_picture_is_found(make, networks):
    plan = make()
    picture = Path(plan.source.name) / "a" / "frames" / "003.png"
    Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
    finish(plan, label_windows(plan, networks))
    told = {row.frame: row for row in read_quality(plan.output / QUALITY_FILE)}
    assert told["003"].reason == "another scene" and told["003"].miou < 30
    assert told["002"].reason != "another scene" and told["002"].miou > 50


@pytest.mark.parametrize(
    ("more", "message"),
    [({"min_quality": 101.0}, "0 … 100"), ({"min_quality": 5.0, "method": "static"}, "moves none")],
)
def test_a_quality_that_cannot_be_is_refused(make, more, message):
    with pytest.raises(UserError, match=message):
        make(**more)
