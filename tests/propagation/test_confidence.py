"""Confidence that left-out labels have shown to be right."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from propagation.clips import shifting_clip

from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.confidence import (
    LEVELS,
    believable,
    by_confidence,
    isotonic,
    nearer,
    told,
)
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.results import NO_PARTIAL, FramePrediction
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.types import ClassMap

SPAN = 4
SIZE = 64, 64
CLASSES = ClassMap((0, 1), ("a", "b"), np.zeros((2, 3), np.uint8), (False, False))
TRUTH = np.zeros(SIZE, np.int32)


@pytest.fixture
def window(small_cues):
    keys = Keyframe(0, TRUTH), Keyframe(SPAN, TRUTH)
    return LabelledWindow(HeldCues(small_cues), keys, CLASSES, zero_motion(), leave_out=True)


@pytest.fixture
def small_cues():
    """Cues of which nothing but their number is read."""
    return shifting_clip(np.random.default_rng(0), n=SPAN + 1)[0]


def said_of(frame, key, share_right, sure=0.9, seed=0):
    """A frame whose labels are right so often, and state that they are surer or less so."""
    rng = np.random.default_rng(seed + frame)
    labels = (rng.random(SIZE) > share_right).astype(np.int32)
    return FramePrediction(frame, labels, np.full(SIZE, sure, np.float32), key=key)


def of_window(share_far, share_near, sure=0.9):
    """What comes of labelled frames (their own, and left out), and of those between."""
    own = [FramePrediction(k, TRUTH, np.ones(SIZE, np.float32), key=k) for k in (0, SPAN)]
    far = [said_of(SPAN, 0, share_far, sure), said_of(0, SPAN, share_far, sure)]
    between = [said_of(i, 0, share_near, sure) for i in range(1, SPAN)]
    return [*own, *between, *far]


def test_confidence_becomes_the_share_that_is_right(window):
    """Far too sure before; calibrated at the left-out labels, and nearer to them a little surer."""
    given_ = of_window(0.6, 0.68)
    found = {one.frame: one for one in believable(window, iter(given_)) if one.key != SPAN}
    for frame in range(1, SPAN):
        one = found[frame]
        right = (one.labels == TRUTH).mean()
        assert one.stated is not None and (one.stated == np.float32(0.9)).all()
        before, after = abs(0.9 - right), abs(one.confidence.mean() - right)
        assert after < before / 2
        assert one.confidence.min() > 0.6
    assert found[1].confidence.mean() > found[2].confidence.mean()


def test_what_comes_of_labelled_frames_stays_and_each_comes_once(window, tmp_path):
    given_ = of_window(0.6, 0.75)
    in_memory = list(believable(window, iter(given_)))
    own = [one for one in in_memory if one.frame in (0, SPAN)]
    expected = [one for one in given_ if one.frame in (0, SPAN)]
    assert all(a is b for a, b in zip(own, expected, strict=True))
    assert [one.frame for one in in_memory if 0 < one.frame < SPAN] == [1, 2, 3]
    window = dataclasses.replace(window, scratch=tmp_path)
    for a, b in zip(in_memory, believable(window, iter(given_)), strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.confidence, b.confidence)
    assert list(tmp_path.iterdir()) == []


def test_nothing_changes_where_no_label_was_left_out(window):
    far_away = [one for one in of_window(0.6, 0.7) if not window.is_left_out(one)]
    for a, b in zip(sorted(far_away, key=lambda one: one.frame),
                    sorted(believable(window, iter(far_away)), key=lambda one: one.frame),
                    strict=True):  # fmt: skip
        assert b.confidence is a.confidence and b.stated is None


def test_pixels_that_a_person_has_fixed_stay_certain(window):
    given_ = of_window(0.6, 0.7, sure=1.0)
    partial = np.full(SIZE, NO_PARTIAL, np.int16)
    partial[:8] = 0
    given_[2] = given_[2]._replace(partial=partial)
    one = next(one for one in believable(window, iter(given_)) if one.frame == 1)
    assert (one.confidence[:8] == 1).all() and (one.confidence[8:] < 1).all()


def test_pixels_are_counted_by_confidence():
    truth, labels = np.array([[0, 1, 2, -1]]), np.array([[0, 0, 2, 1]])
    counts = by_confidence(np.array([[1.0, 0.2, 0.5, 0.1]]), labels, truth, np.array([1, 1, 0]) > 0)
    assert counts[0].nonzero()[0].tolist() == [51, 255] and counts[1, 255] == 1
    assert counts.sum(axis=1).tolist() == [2, 1]


def test_isotonic_regression_pools_what_does_not_rise():
    counts = np.zeros((2, LEVELS), int)
    counts[:, [50, 100, 150, 200]] = [[100, 100, 100, 100], [30, 60, 40, 90]]
    np.testing.assert_allclose(
        isotonic(counts)[[50, 100, 125, 150, 200]], [0.3, 0.5, 0.5, 0.5, 0.9]
    )
    moved = told(counts)
    assert moved[0].nonzero()[0].tolist() == [76, 128, 230]  # 0.3, 0.5 and 0.9
    assert moved[:, 128].tolist() == [200, 100]
    np.testing.assert_array_equal(isotonic(np.zeros((2, LEVELS), int)), np.arange(LEVELS) / 255)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 50), st.floats(0, 1)), min_size=1))
def test_the_map_rises_with_confidence_and_falls_with_distance(levels):
    counts = np.zeros((2, LEVELS), int)
    for level, pixels, share in levels:
        counts[:, level] += pixels, int(share * pixels)
    curve = isotonic(counts)
    before = np.ones(LEVELS)
    for distance in range(1, SPAN + 1):
        worth = nearer(curve, distance, SPAN)
        assert (np.diff(worth) >= -1e-12).all() and ((worth >= 0) & (worth <= 1)).all()
        assert (worth <= before + 1e-12).all()
        before = worth
    np.testing.assert_allclose(before, curve)
