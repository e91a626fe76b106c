"""Pixels that are sent along a flow, against loops by hand."""

import jax
import numpy as np
import pytest

from wrp_jax.ops.forward_warp import EMPTY, carry, landing

_landing, _carry = jax.jit(landing), jax.jit(carry)


def by_hand(flow, height, width):
    """The last pixel in reading order that comes to a place stays there."""
    found = np.full(flow.shape[:2], EMPTY)
    for y in range(height):
        for x in range(width):
            dx, dy = flow[y, x].astype(float)
            there = 0 <= x + dx <= width - 1 and 0 <= y + dy <= height - 1
            if there and np.isfinite([dx, dy]).all():
                found[round(y + dy), round(x + dx)] = y * flow.shape[1] + x
    return found


@pytest.mark.parametrize("extent", [None, (5, 6), (7, 9)])
def test_equal_to_loops(rng, extent):
    flow = rng.normal(scale=3, size=(2, 7, 9, 2)).astype(np.float32)
    flow[rng.random((2, 7, 9)) < 0.1] = np.nan
    flow[rng.random((2, 7, 9)) < 0.05] = np.inf
    sizes = None if extent is None else tuple(map(np.int32, extent))
    found = _landing(flow, sizes)
    for i in range(2):
        np.testing.assert_array_equal(found[i], by_hand(flow[i], *(extent or (7, 9))))


def test_what_moves_on_leaves_an_empty_place_and_hides_another():
    flow = np.zeros((1, 1, 4, 2), np.float32)
    flow[0, 0, 1, 0] = 1
    index = _landing(flow)
    np.testing.assert_array_equal(index, [[[0, EMPTY, 2, 3]]])  # of two the later one stays
    flow[0, 0, 1, 0], flow[0, 0, 2, 0] = 0, -1
    index = _landing(flow)
    np.testing.assert_array_equal(index, [[[0, 2, EMPTY, 3]]])
    moved = _carry(np.arange(1.0, 5.0, dtype=np.float32).reshape(1, 1, 4, 1), index)
    np.testing.assert_array_equal(moved[0, 0, :, 0], [1, 3, 0, 4])
