"""How reliable g_ψ is, measured on labels that motion carried."""

import numpy as np
import pytest
from propagation.clips import shifting_clip

from wrp_jax.propagation.chooser.agreement import (
    Agreement,
    count_agreement,
    recall_and_precision,
    reliability_of,
    window_agreement,
)
from wrp_jax.propagation.window_cues import HeldCues


def test_counts_leave_the_unknown_out():
    carried = np.array([[0, 0, 1, 2, -1]])
    found = count_agreement(np.array([[0, 1, 1, 1, 0]]), carried, 4)
    np.testing.assert_array_equal(found.both, [1, 0 + 1, 0, 0])
    np.testing.assert_array_equal(found.carried, [2, 1, 1, 0])
    np.testing.assert_array_equal(found.said, [1, 3, 0, 0])


def test_a_handful_of_pixels_weighs_little():
    agreement = Agreement(*np.array([[0, 0, 900], [3, 0, 1000], [0, 0, 1000]]))
    prior = np.array([[0.8, 0.5], [0.7, 0.6], [0.1, 0.1]], np.float32)
    found = recall_and_precision(agreement, 500_000, prior)
    np.testing.assert_allclose(found[0], [800 / 1003, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found[1], prior[1])
    np.testing.assert_allclose(found[2], [1000 / 2000] * 2, rtol=1e-6)


def test_without_a_prior_a_class_that_is_nowhere_has_what_all_have():
    agreement = Agreement(*np.array([[60, 20, 0], [80, 20, 0], [60, 40, 0]]))
    found = recall_and_precision(agreement, 10)
    np.testing.assert_allclose(found[2], [0.8, 0.8])
    np.testing.assert_allclose(found[0], [60.8 / 81, 60.8 / 61], rtol=1e-6)


@pytest.mark.parametrize(("key", "frames"), [(0, 1), (2, 2), (4, 1)])
def test_a_window_is_measured_both_ways_at_its_reach(rng, key, frames):
    clip, labels = shifting_clip(rng, n=5)
    _, h, w = labels.shape
    keys = [(key, labels[key])]
    found = window_agreement(HeldCues(clip), keys, 3, ahead=2)
    # Two frames on, four columns have come in from outside; the motion is exact.
    assert found.carried.sum() == frames * h * (w - 4)
    np.testing.assert_array_equal(found.both, found.carried)
    wrong = clip._replace(probs=np.roll(clip.probs, 1, axis=-1))
    assert window_agreement(HeldCues(wrong), keys, 3, ahead=2).both.sum() == 0
    known = reliability_of(HeldCues(wrong), keys, np.full((3, 2), 0.5, np.float32))
    assert known.shape == (3, 2) and (known < 0.1).all()


def test_a_window_of_one_frame_has_what_is_expected(rng):
    clip, labels = shifting_clip(rng, n=2)
    prior = rng.random((3, 2)).astype(np.float32)
    one = HeldCues(clip._replace(frames=clip.frames[:1], probs=clip.probs[:1]))
    np.testing.assert_allclose(reliability_of(one, [(0, labels[0])], prior), prior)
