"""Windows in whose frames labelled frames beyond the two at their ends have a say."""

import itertools

import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.config import PropagationConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.along_chains import StepRefiner
from wrp_jax.propagation.both_sides import fuse_sides
from wrp_jax.propagation.fusion import fuse, side_weight
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.propagation.results import FramePrediction, Posterior
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap, ClipCues

CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)
MOVING = [method for method, facts in METHODS.items() if facts.moves]
N, KEYS, FURTHER, BETWEEN = 9, (2, 5), (0, 7, 8), (3, 4)


def window_of(clip, labels, keys=KEYS, further=FURTHER, between=BETWEEN, **more):
    def given(places):
        return tuple(Keyframe(key, labels[key]) for key in places)

    return LabelledWindow(
        HeldCues(clip), given(keys), CLASSES, zero_motion(), further=given(further),
        between=between, **more,
    )  # fmt: skip


def frames_of(window, method="motion-only"):
    refiner = StepRefiner(lambda probs, features, cues: probs)
    config = PropagationConfig(horizon=3)
    return {one.frame: one for one in label_frames(method, config, window, refiner)}


def part(clip, first, last):
    """The frames of a clip from the first to the last."""
    frames, pairs = slice(first, last + 1), slice(first, last)
    return ClipCues(
        clip.frames[frames], clip.flow_backward[pairs], clip.flow_forward[pairs],
        clip.probs[frames], clip.features[frames],
    )  # fmt: skip


@pytest.fixture
def scene(rng):
    clip, labels = shifting_clip(rng, n=N)
    return clip._replace(
        flow_backward=clip.flow_backward + rng.normal(size=clip.flow_backward.shape) * 0.7,
        probs=rng.dirichlet(np.ones(3), clip.probs.shape[:3]).astype(np.float32),
    ), labels


def same(one, two):
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.confidence, two.confidence)


@pytest.mark.parametrize("method", MOVING)
def test_their_order_plays_no_part_and_only_the_frames_between_are_labelled(
    method, scene, tmp_path
):
    found = frames_of(window_of(*scene), method)
    assert sorted(found) == [2, 3, 4, 5]
    for order in list(itertools.permutations(FURTHER))[1:4:2]:
        other = frames_of(window_of(*scene, further=order, scratch=tmp_path), method)
        for frame, one in found.items():
            same(one, other[frame])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", METHODS)
def test_without_further_ones_all_is_as_it_was(method, scene):
    clip, labels = scene
    found = frames_of(window_of(clip, labels, further=()), method)
    alone = frames_of(window_of(part(clip, 2, 5), labels[2:6], (0, 3), (), None), method)
    assert sorted(found) == [2, 3, 4, 5]
    for frame, one in alone.items():
        if method != "flow-voting":
            same(one, found[2 + frame])
    one, two = (
        frames_of(window_of(clip, labels, (2,), (), between), method)[3]
        for between in (None, (0, 8))
    )
    same(one, two)


def test_the_mean_is_over_all_within_reach_by_distance():
    """Nothing moves: every labelled frame is as sure as it is near."""
    flow, h, w = np.zeros((N - 1, 4, 6, 2), np.float32), 4, 6
    clip = ClipCues(
        np.zeros((N, h, w, 3), np.uint8), flow, flow, np.zeros((N, h, w, 0), np.float32),
        np.zeros((N, 1, 1, 0), np.float32),
    )  # fmt: skip
    classes = {0: 1, 2: 0, 5: 1, 7: 1, 8: 2}
    labels = {key: np.full((h, w), index, np.int32) for key, index in classes.items()}
    found = frames_of(window_of(clip, labels))
    for frame in (3, 4):
        mass = np.zeros(3)
        for key, index in classes.items():
            mass[index] += 0.95 ** abs(frame - key)
        np.testing.assert_array_equal(found[frame].labels, mass.argmax())
        np.testing.assert_allclose(found[frame].confidence, mass.max() / mass.sum(), rtol=1e-5)
        np.testing.assert_array_equal(found[frame].side, 2)  # 5 is the nearest of 0, 5 and 7
    near = frames_of(window_of(clip, labels, reach=2))
    assert near[3].confidence[0, 0] == pytest.approx(1 / (1 + 0.95), rel=1e-5)  # of 2 and 5
    assert (near[3].labels == 0).all()
    # Before the first labelled frame of a video later ones have a say, too.
    before = frames_of(window_of(clip, labels, (5,), (7, 8), (3, 4)))
    assert sorted(before) == [3, 4, 5]
    mass = np.array([0, 0.95**2 + 0.95**4, 0.95**5])
    np.testing.assert_allclose(before[3].confidence, mass.max() / mass.sum(), rtol=1e-5)


def test_columns_of_different_classes_are_compared_by_class(scene, rng):
    """A chooser has a column for the classes that it met, and such as stand for none."""
    window = window_of(*scene, keys=(2, 5), further=(8,))
    columns = {2: [0, 2, -1, -1], 5: [0, 1, 2, -1], 8: [2, -1]}
    said, whole = [], []
    for key, classes in columns.items():
        probs = rng.dirichlet(np.ones(len(classes)), (8, 12)).astype(np.float16)
        full = np.zeros((8, 12, 4), np.float16)
        for place, index in enumerate(classes):
            full[..., index] += probs[..., place]
        labels = np.zeros((8, 12), np.int32)
        posterior = Posterior(probs, np.int32(classes))
        said.append(FramePrediction(4, labels, probs.max(-1), key=key, posterior=posterior))
        whole.append((full, side_weight(abs(4 - key), None, 0.5)))
    expected = fuse(*zip(*whole, strict=True))
    for order in itertools.permutations(said):
        (one,) = fuse_sides(window, iter(order), 0.5)
        np.testing.assert_array_equal(one.labels, np.array([0, 1, 2, -1])[expected.place])
        np.testing.assert_array_equal(one.confidence, expected.confidence)
        np.testing.assert_array_equal(one.side, expected.side)
