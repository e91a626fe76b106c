"""Whatever the augmentation does to a pair, its flow still fetches the second picture."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import affine_pair, fetch_error

from wrp_jax.data.flow_sets.pairs import FlowPair
from wrp_jax.training.motion import augment as a

PAIR = affine_pair()
SPATIAL = a.FlowAugmentation(
    crop=(48, 64), scale=(-0.3, 0.8), flips=(0.5, 0.5), jitter=(0.0,) * 4, asymmetric=0.0, erase=0.0
)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_flow_stays_true(seed, sparse):
    options = dataclasses.replace(SPATIAL, sparse=sparse)
    view = a.augment(np.random.default_rng(seed), PAIR, options)
    assert view.first.shape == view.second.shape == (48, 64, 3)
    assert (view.flow.dtype, view.valid.dtype) == (np.float32, bool)
    error = fetch_error(view)
    assert np.isfinite(error).mean() > (0.1 if sparse else 0.5)
    # Sparse vectors move to the nearest pixel, up to half a pixel of a slope of 16 levels.
    assert np.nanpercentile(error, 99) < (11 if sparse else 2.5)


def test_the_published_mistake_would_be_seen():
    pair = a.mirrored(PAIR, 1)
    wrong = pair._replace(flow=pair.flow * np.float32([-1, 1]))
    assert np.nanmedian(fetch_error(pair)) < 1 < np.nanmedian(fetch_error(wrong))


@pytest.mark.parametrize("axis", [0, 1])
def test_two_mirrors_are_none(axis):
    twice = a.mirrored(a.mirrored(PAIR, axis), axis)
    for before, after in zip(PAIR, twice, strict=True):
        np.testing.assert_array_equal(before, after)


def test_unknown_pixels_stay_unknown_and_do_not_leak():
    flow = PAIR.flow.copy()
    valid = PAIR.valid.copy()
    valid[20:30, 40:60], flow[20:30, 40:60] = False, 1e6
    view = a.rescaled(PAIR._replace(flow=flow, valid=valid), (123, 201), sparse=False)
    assert 0 < (~view.valid).sum() < 4 * 200 * 2.5
    assert np.abs(view.flow[view.valid]).max() < 50


def test_sparse_vectors_land_where_they_belong():
    flow, valid = np.zeros((10, 12, 2), np.float32), np.zeros((10, 12), bool)
    flow[3, 5], valid[3, 5] = (2, -1), True
    image = np.zeros((10, 12, 3), np.uint8)
    view = a.rescaled(FlowPair(image, image, flow, valid), (30, 36), sparse=True)
    assert np.argwhere(view.valid).tolist() == [[10, 16]]  # the middle of its nine pixels
    np.testing.assert_array_equal(view.flow[10, 16], [6, -3])


def test_pictures_smaller_than_the_crop_are_enlarged():
    options = dataclasses.replace(SPATIAL, crop=(96, 128), spatial=0.0)
    view = a.augment(np.random.default_rng(0), PAIR, options)
    assert view.valid.shape == (96, 128)
    assert np.nanpercentile(fetch_error(view), 99) < 2


def test_colours_change_alike_or_apart(rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    alike, apart = (dataclasses.replace(SPATIAL, jitter=(0.4,) * 3 + (0.1,), asymmetric=p)
                    for p in (0.0, 1.0))  # fmt: skip
    one, two = a.recolour(np.random.default_rng(1), [image, image], alike)
    np.testing.assert_array_equal(one, two)
    assert (one != image).any()
    one, two = a.recolour(np.random.default_rng(1), [image, image], apart)
    assert (one != two).any()


def test_no_jitter_changes_nothing_but_rounding(rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    (same,) = a.jitter(rng, [image], (0.0,) * 4)
    assert np.abs(same.astype(int) - image).max() <= 8  # through hue and back, 8 bits each


def test_each_change_is_the_published_one():
    image = np.array([[[200, 100, 40]], [[10, 20, 30]]], np.uint8)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)

    class Fixed(np.random.Generator):
        """Draws the factor 0.5 for one kind of change and none for the others."""

        def __init__(self, kind):
            super().__init__(np.random.PCG64(0))
            self.kind, self.calls = kind, -1

        def uniform(self, low, high):
            self.calls += 1
            return 0.5 if self.calls == self.kind else (1.0 if self.calls < 3 else 0.0)

        def permutation(self, count):
            return [self.kind]

    darker, flatter, greyer = (
        a.jitter(Fixed(kind), [image], (0.5, 0.5, 0.5, 0.0))[0] for kind in range(3)
    )
    np.testing.assert_array_equal(darker, image // 2)
    np.testing.assert_array_equal(flatter, (0.5 * image + 0.5 * grey.mean()).astype(np.uint8))
    np.testing.assert_array_equal(greyer, (0.5 * image + 0.5 * grey[..., None]).astype(np.uint8))


def test_wiping_paints_the_mean_over_at_most_two_rectangles(rng):
    image = rng.integers(0, 256, (300, 400, 3), np.uint8)
    wiped = a.erase_patches(np.random.default_rng(3), image)
    changed = (wiped != image).any(-1)
    mean = image.reshape(-1, 3).mean(0).astype(np.uint8)
    assert 0 < changed.sum() <= 2 * 100 * 100
    assert (wiped[changed] == mean).all()
