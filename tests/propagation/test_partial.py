"""Partial labels: what they fix stays, and travels as far as it can be followed."""

import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.config import PropagationConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.along_chains import StepRefiner
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.propagation.partial import Patch, _decided
from wrp_jax.propagation.results import FramePrediction, collect
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import KEPT, ClassMap

N = 7
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


@pytest.fixture
def scene(rng):
    """Seven frames that move two pixels each, g_ψ unsure of everything, and the true labels."""
    return unsure(*shifting_clip(rng, n=N))


@pytest.fixture
def wide(rng):
    """The same, but wide enough that most pixels stay in the picture."""
    return unsure(*shifting_clip(rng, n=N, w=32))


def unsure(clip, labels):
    return clip._replace(probs=np.full_like(clip.probs, 1 / 3)), labels


def said_of(scene, keys, partial=(), method="motion-only", wrong=None, **options):
    clip, labels = scene
    given = labels.copy()
    if wrong is not None:
        given[wrong] = (given[wrong] + 1) % 3
    window = LabelledWindow(
        HeldCues(clip), tuple(Keyframe(key, given[key]) for key in keys), CLASSES, zero_motion(),
        partial=tuple(Keyframe(i, label) for i, label in partial),
    )  # fmt: skip
    config = PropagationConfig(horizon=3, **options)
    refiner = StepRefiner(lambda probs, features, cues: probs)
    return collect(N, label_frames(method, config, window, refiner))


def fixed(scene, frame, rows=slice(2, 6)):
    """The truth in some rows of a frame; the rest is left as it is."""
    label = np.full_like(scene[1][frame], KEPT)
    label[rows] = scene[1][frame][rows]
    return label


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("keys", [(0,), (0, N - 1)])
def test_fixed_pixels_are_final_and_others_are_left_alone(method, keys, scene, rng):
    label = np.where(rng.random(scene[1][3].shape) < 0.3, rng.integers(0, 3, (8, 12)), KEPT)
    label = label.astype(np.int32)
    before = said_of(scene, keys, method=method)
    after = said_of(scene, keys, [(3, label)], method)
    mine = label != KEPT
    np.testing.assert_array_equal(after.labels[3][mine], label[mine])
    assert (after.confidence[3][mine] == 1).all()
    np.testing.assert_array_equal(after.labels[3][~mine], before.labels[3][~mine])
    np.testing.assert_array_equal(after.confidence[3][~mine], before.confidence[3][~mine])
    for key in keys:
        np.testing.assert_array_equal(after.labels[key], scene[1][key])
    travelled = [not np.array_equal(after.labels[i], before.labels[i]) for i in (2, 4)]
    assert travelled == [METHODS[method].moves] * 2
    assert after.labels.dtype == np.int32 and after.confidence.dtype == np.float32


def test_corrections_spread_to_the_frames_that_they_are_nearest_to(wide):
    """The labelled frame is wrong in some rows everywhere; a later frame is corrected there."""
    rows = slice(2, 6)
    wrong = slice(None), rows
    before = said_of(wide, (0,), wrong=wrong)
    after = said_of(wide, (0,), [(4, fixed(wide, 4))], wrong=wrong)
    inner = np.s_[:, 3:5, 8:20]  # away from what enters the picture

    def right(said, frame):
        return (said.labels[inner][frame] == wide[1][inner][frame]).mean()

    assert max(right(before, i) for i in range(N)) < 0.1
    for frame in (3, 4, 5, 6):
        assert right(after, frame) > 0.95
    for frame in (0, 1):  # the whole label is nearer
        assert right(after, frame) == right(before, frame)
    outside = np.ones(wide[1].shape[1:], bool)
    outside[rows] = False
    np.testing.assert_array_equal(after.labels[:, outside], before.labels[:, outside])
    assert (after.confidence[5][3:5, 8:20] < 0.95).all()  # the two disagree


def test_two_corrections_each_hold_their_own(scene):
    wrong = slice(None), slice(1, 7)
    partial = [(5, fixed(scene, 5, slice(2, 4))), (2, fixed(scene, 2, slice(3, 6)))]
    said = said_of(scene, (0, N - 1), partial, wrong=wrong)
    for frame, label in partial:
        mine = label != KEPT
        np.testing.assert_array_equal(said.labels[frame][mine], label[mine])


def test_what_speaks_for_a_pixel_is_weighed():
    said = FramePrediction(
        4, np.array([[0, 0, 0, 255]], np.int32), np.array([[1.0, 0.5, 0.5, 0.0]], np.float32)
    )
    patch = Patch(
        np.array([0, 1, 3]), np.array([0, 2, 1]), np.float32([0.5, 0.5, 0.5]),
        np.float32([1.0, 1.0, 1.0]), 1,
    )  # fmt: skip
    far = _decided(said, 1, [patch._replace(distance=1)], 0.8)  # the whole label is as near
    assert far.labels.tolist() == [[0, 2, 0, 1]] and far.labels.dtype == np.int32
    np.testing.assert_allclose(far.confidence, [[1.0, 0.5 / 1.3, 0.5, 0.5 / 1.3]], rtol=1e-6)
    sure = said._replace(confidence=np.ones((1, 4), np.float32))
    assert _decided(sure, 1, [patch], 0.8).labels.tolist() == [[0, 0, 0, 255]]
    near = _decided(sure, 3, [patch], 0.8)  # what contradicts the nearer one counts little
    assert near.labels.tolist() == [[0, 2, 0, 1]]
    assert near.confidence[0, 1] == pytest.approx(0.5 / (0.5 + 0.8**3 / 8))
    assert near.confidence[0, 0] == 1 and near.confidence[0, 2] == 1
    assert _decided(said, 3, (), 0.8) is said
