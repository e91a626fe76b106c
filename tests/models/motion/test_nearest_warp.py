from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from nearest_warp import resample_nearest


def test_halves_go_up_and_the_outside_copies_the_border():
    row = jnp.arange(5, dtype=jnp.uint8).reshape(1, 1, 5, 1)
    dx = jnp.asarray([0.5, 0.49, -0.5, -0.51, 100.0])
    flow = jnp.stack([dx, jnp.full(5, -7.0)], axis=-1).reshape(1, 1, 5, 2)
    moved = resample_nearest(row, flow)
    assert moved.dtype == jnp.uint8
    np.testing.assert_array_equal(moved.ravel(), [1, 1, 2, 2, 4])


def test_whole_shifts_are_exact():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, size=(2, 6, 7, 1))
    flow = jnp.broadcast_to(jnp.asarray([2.0, -1.0]), (2, 6, 7, 2))
    moved = np.asarray(resample_nearest(jnp.asarray(labels), flow))
    np.testing.assert_array_equal(moved[:, 1:, :-2], labels[:, :-1, 2:])
