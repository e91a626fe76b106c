"""Bands around class boundaries."""

import numpy as np

from wrp_jax.evaluation.boundary import band_confusions, boundary_bands, boundary_distance
from wrp_jax.evaluation.confusion import confusion


def test_distance_is_that_of_the_nearest_pixel_of_another_class(rng):
    truth = rng.integers(0, 3, (7, 9)).repeat(3, 0).repeat(3, 1)
    places = np.argwhere(np.ones_like(truth, bool)).astype(np.float64)
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    other = truth.ravel()[:, None] != truth.ravel()[None]
    expected = np.where(other, apart, np.inf).min(1).reshape(truth.shape)
    np.testing.assert_allclose(boundary_distance(truth), expected, rtol=1e-5)


def test_one_class_lies_in_the_last_band():
    assert (boundary_bands(np.full((5, 5), 2)) == 2).all()


def test_bands_of_a_straight_boundary():
    truth = np.repeat(np.arange(2), 20)[None].repeat(4, 0)
    # Columns 19 and 20 are 1 pixel from the other side.
    expected = [2] * 10 + [1] * 7 + [0] * 3
    np.testing.assert_array_equal(boundary_bands(truth)[0], expected + expected[::-1])


def test_bands_add_up_to_the_picture(rng):
    truth = rng.integers(0, 3, (30, 40))
    truth[:, :25] = 1
    prediction = rng.integers(0, 4, truth.shape)
    bands = band_confusions(truth, prediction, 3)
    np.testing.assert_array_equal(bands.sum(0), confusion(truth, prediction, 3))
    assert (bands.sum((1, 2)) > 0).all()
