"""The student's crops, and the stage itself on a video of two halves."""

import copy
import dataclasses
import functools
import json
import os
import signal

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from wrp_jax.config import (
    Config,
    SegmentationConfig,
    SegmentationNetwork,
    SegmentationOptimiser,
    SegmentationSampling,
)
from wrp_jax.data.known_labels import FurtherFrame, KnownLabels
from wrp_jax.labelling import score
from wrp_jax.models.segmentation.build import REGISTRY
from wrp_jax.models.segmentation.light import LightSegmentation
from wrp_jax.runs.results import load_result
from wrp_jax.training.segmentation import student
from wrp_jax.training.segmentation.crops import (
    CropDataset,
    build_crop_dataset,
    crops_of_epoch,
    is_further,
)
from wrp_jax.training.segmentation.recipe import number_of_steps
from wrp_jax.training.stages import check_stages, run_stages
from wrp_jax.types import UNLABELLED, ClassMap, Interrupted, UserError, Window

pytestmark = pytest.mark.stages

CLASSES = ClassMap((0, 1), ("left", "right"), np.zeros((2, 3), np.uint8), (False, False))
WINDOW = Window("s", "2", "0", "4")


class Video:
    """Grey frames, each of a level of its own; the left half is another class than the right."""

    name = "video"
    classes = CLASSES
    sequences = ("s",)

    def frame_names(self, sequence):
        return ("0", "1", "2", "3", "4")

    def label_names(self, sequence):
        return frozenset(self.frame_names(sequence))

    def frame(self, sequence, name):
        return np.full((32, 48, 3), 40 * int(name) + 20, np.uint8)

    def label(self, sequence, name):
        return np.repeat(np.arange(48)[None] // 24, 32, 0).astype(np.int32)


def options(**more):
    return SegmentationConfig(
        name="light",
        network=SegmentationNetwork(width=4),
        optimiser=SegmentationOptimiser(steps=6, batch_size=2, name="sgd", ema_decay=0.0),
        sampling=SegmentationSampling(
            crop=(32, 32), augmentation="published", scale=(1.0, 1.0), blur=0.0, **more
        ),
    )


def further(*offsets):
    return tuple(FurtherFrame(Video(), "s", str(2 + o), "2", o) for o in offsets)


@hypothesis.given(st.integers(0, 3000), st.floats(0, 1))
def test_of_any_number_of_crops_the_share_is_further(count, share):
    assert sum(is_further(i, share) for i in range(count)) == round(share * count)


def test_crops_are_drawn_from_further_frames_in_their_share(monkeypatch):
    monkeypatch.setattr(
        "wrp_jax.training.segmentation.transforms.recolour", lambda rng, image, options: image
    )
    source, rng = Video(), np.random.default_rng(0)
    dataset = build_crop_dataset(
        options(), KnownLabels(source, [WINDOW]), source, [WINDOW],
        further=further(-2, 1), further_share=0.7,
    )  # fmt: skip
    assert dataset.in_order and len(dataset.learnt) == 1
    levels = [int(np.median(dataset.draw(i, rng).image)) for i in range(200)]
    counts = {level: levels.count(level) for level in sorted(set(levels))}
    assert counts.keys() == {20, 100, 140}  # frames 0 and 3, and the labelled frame 2
    assert counts[100] == 60  # exactly 30 %
    assert abs(counts[20] - 70) < 20  # the others are equally likely
    np.testing.assert_allclose(dataset.expected_counts, [32 * 24] * 2)


def test_frames_around_a_held_out_one_are_not_learnt_from():
    class Long(Video):
        def frame_names(self, sequence):
            return tuple(map(str, range(80)))

        def frame(self, sequence, name):
            return np.zeros((32, 48, 3), np.uint8)

    source = Long()
    windows = [Window("s", str(i), str(i), str(i + 1)) for i in range(0, 80, 2)]
    around = [FurtherFrame(source, "s", str(i + 1), str(i), 1) for i in range(0, 80, 2)]
    known = KnownLabels(source, windows, (), around)
    dataset = build_crop_dataset(
        options(calibration_share=0.2), known, source, windows, further=around, further_share=0.7
    )
    assert len(dataset.held) == 8
    held = {item.name for item in dataset.held}
    seen = {item.key for item in dataset.further_sampler._frames._items}
    assert not seen & held and len(seen) == 32


def test_propagated_labels_that_say_nothing_are_refused():
    class Nothing(Video):
        def label(self, sequence, name):
            return np.full((32, 48), UNLABELLED, np.int32)

    source = Video()
    known = KnownLabels(source, [WINDOW])
    around = [FurtherFrame(Nothing(), "s", "1", "2", -1)]
    with pytest.raises(UserError, match="The 1 propagated labels show no class other than void"):
        build_crop_dataset(options(), known, source, [WINDOW], further=around, further_share=0.7)


def test_an_epoch_is_as_long_whatever_was_propagated():
    recipe = dataclasses.replace(options().optimiser, steps=0, epochs=5, batch_size=4)
    assert crops_of_epoch(10, 3.0) == 30
    assert number_of_steps(recipe, crops_of_epoch(10, 3.0)) == 5 * 8


@pytest.fixture(scope="module")
def shallow():
    """The light network with few layers, for it is compiled often."""
    with pytest.MonkeyPatch.context() as patch:
        network = functools.partial(LightSegmentation, width=4, blocks=(1, 1, 1))
        patch.setitem(REGISTRY, "light", lambda config, count: network(count))
        yield


@pytest.fixture(scope="module")
def config(shallow):
    config = Config(stages=("student",))
    config.segmentation = options()
    config.student.labels, config.student.offsets = "true", (-2, 1)
    return config


def run(config, workdir):
    source = Video()
    known = KnownLabels(source, [WINDOW], (), student.further_frames(config, source, [WINDOW]))
    run_stages(config, known, source, [WINDOW], workdir)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    run(config, workdir)
    return workdir


def test_a_student_that_was_stopped_goes_on_to_the_same_bytes(config, whole, tmp_path, monkeypatch):
    draw = CropDataset.draw

    def stop(dataset, index, rng):
        if index == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(dataset, index, rng)

    monkeypatch.setattr(CropDataset, "draw", stop)
    with pytest.raises(Interrupted, match=r"SIGTERM after step [0-5] of 6 of student, saved"):
        run(config, tmp_path)
    assert not (tmp_path / "student.npz").exists()
    monkeypatch.setattr(CropDataset, "draw", draw)
    run(config, tmp_path)
    assert (tmp_path / "student.npz").read_bytes() == (whole / "student.npz").read_bytes()


def test_another_set_of_further_frames_is_another_run(config, whole):
    other = copy.deepcopy(config)
    other.student.labels = "none"
    with pytest.raises(UserError, match=r"trained on the same frames with other labels"):
        run(other, whole)
    _, metadata = load_result(whole, "student")
    assert metadata["fingerprint"] == json.loads((whole / "labels.json").read_text())["fingerprint"]


def test_the_student_is_what_the_run_segments_with_and_is_scored(config, whole, monkeypatch):
    monkeypatch.setattr(score, "open_source", lambda spec: Video())
    scores = score.score_run(config, "TEST", whole)
    assert scores["test"] == "TEST" and scores["frames"] == 5
    assert 0 <= scores["miou"] <= 100 and set(scores["iou"]) == {"left", "right"}
    assert json.loads((whole / "scores.json").read_text()) == scores
    assert score.score_run(config, "TEST", whole, name="test.zip")["test"] == "test.zip"
    with pytest.raises(UserError, match="none of the stages motion trains a segmentation"):
        score.check_test("TEST", ("motion",))
    monkeypatch.setattr(Video, "label_names", lambda self, sequence: frozenset())
    with pytest.raises(UserError, match=r"config\.test=TEST has no labelled frame"):
        score.check_test("TEST", ("student",))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": "propagated"}, "config.pseudo is missing: give what propagate wrote"),
        ({"pseudo": "OUT"}, "config.pseudo has no effect with config.student.labels=true"),
        ({"offsets": ()}, r"config.student.offsets is \(\): give distances"),
        ({"offsets": (-2, 0)}, r"config.student.offsets is \(-2, 0\)"),
        ({"name": "precomputed"}, "precomputed, and files cannot be trained"),
    ],
)
def test_options_that_do_not_fit_are_refused(config, change, says):
    config = copy.deepcopy(config)
    for name, value in change.items():
        groups = {"pseudo": config, "name": config.segmentation}
        setattr(groups.get(name, config.student), name, value)
    with pytest.raises(UserError, match=says):
        check_stages(config)
