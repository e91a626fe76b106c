"""Where labels come from: kind, side and age of every pixel."""

import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.config import PropagationConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import label_frames
from wrp_jax.propagation.provenance import UNKNOWN, Kind, provenance
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import KEPT, ClassMap

N = 5
CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


@pytest.fixture
def window_of(rng):
    clip, labels = shifting_clip(rng, n=N)

    def make(*keys, partial=()):
        keys = tuple(Keyframe(key, labels[key]) for key in keys)
        return LabelledWindow(HeldCues(clip), keys, CLASSES, zero_motion(), partial=partial)

    return make


def pictures(window, method, inpaints=False, **options):
    config = PropagationConfig(horizon=3, **options)
    said = label_frames(method, config, window)
    return {s.frame: provenance(window, s, inpaints=inpaints, chooses=False) for s in said}


def test_labels_that_move_tell_side_and_age(window_of):
    found = pictures(window_of(2), "motion-only")
    for frame, (side, age) in {0: (1, 2), 1: (1, 1), 3: (0, 1), 4: (0, 2)}.items():
        assert (found[frame] == [Kind.CARRIED, side, age]).all()
        assert found[frame].dtype == np.uint8
    assert (found[2] == [Kind.MANUAL, 0, 0]).all()
    found = pictures(window_of(0, N - 1), "motion-only")
    assert set(map(tuple, found[1].reshape(-1, 3).tolist())) <= {(2, 0, 1), (2, 1, 3)}
    sides = found[1][..., 1].mean(), found[3][..., 1].mean()
    assert sides[0] < 0.5 < sides[1]


def test_what_segmentation_puts_in_is_younger(window_of):
    """Two pixels enter on the right with every frame."""
    found = pictures(window_of(0), "warp-inpaint", inpaints=True, carrier="composed")
    entered = found[3][:, :, 0] == Kind.INPAINTED
    assert entered[:, -6:].all() and not entered[:, :-6].any()
    assert (found[3][:, -2:] == [Kind.INPAINTED, 0, 0]).all()
    assert (found[3][:, -4:-2] == [Kind.INPAINTED, 0, 1]).all()
    assert (found[3][:, 0] == [Kind.CARRIED, 0, 3]).all()
    found = pictures(window_of(0), "warp-inpaint", inpaints=True, carrier="soft")
    assert (found[3] == [Kind.UNKNOWN, UNKNOWN, UNKNOWN]).all()
    found = pictures(window_of(0), "semantic-argmax", inpaints=True)
    assert (found[3] == [Kind.INPAINTED, 0, 0]).all()


def test_partial_labels_are_told_apart(window_of):
    label = np.full((8, 12), KEPT, np.int32)
    label[2:6, 4:8] = 2
    found = pictures(window_of(0, partial=(Keyframe(3, label),)), "motion-only")
    assert (found[3][2:6, 4:8] == [Kind.MANUAL, 0, 0]).all()
    assert (found[3][:2] == [Kind.CARRIED, 0, 3]).all()
    kinds = found[4][..., 0]
    assert (kinds == Kind.CORRECTED).any() and (found[4][kinds == Kind.CORRECTED][:, 2] == 1).all()
    before = found[2][found[2][..., 0] == Kind.CORRECTED]
    assert len(before) and (before == [Kind.CORRECTED, 1, 1]).all()


def test_choices_and_long_ways(window_of):
    window = window_of(0)
    said = FramePrediction(3, np.zeros((8, 12), np.int32), np.ones((8, 12), np.float32), key=0)
    found = provenance(window, said, inpaints=True, chooses=True)
    assert (found == [Kind.CHOSEN, 0, UNKNOWN]).all()
    far = said._replace(frame=300, source=np.zeros((8, 12), np.int32))
    found = provenance(window, far, inpaints=True, chooses=True)
    assert (found == [Kind.CARRIED, 0, UNKNOWN - 1]).all()
