from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from wrp_jax.ops.labels import one_hot
from wrp_jax.ops.warp import (
    compose_flow,
    consistency_error,
    inside,
    vote_labels,
    warp,
    warp_labels,
    warp_nearest,
    warp_one_hot,
)

SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (17, 31)]


def bilinear_by_hand(image: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One pixel after the other, in double precision."""
    h, w, _ = image.shape
    out, valid = np.zeros(image.shape), np.zeros((h, w), bool)
    for i in range(h):
        for j in range(w):
            dx, dy = np.where(np.isfinite(flow[i, j]).all(), flow[i, j], 0).astype(float)
            x, y = j + dx, i + dy
            within = 0 <= x <= w - 1 and 0 <= y <= h - 1
            valid[i, j] = np.isfinite(flow[i, j]).all() and within
            x, y = np.clip(x, 0, w - 1), np.clip(y, 0, h - 1)
            x0, y0 = int(x), int(y)
            x1, y1 = min(x0 + 1, w - 1), min(y0 + 1, h - 1)
            fx, fy = x - x0, y - y0
            top = (1 - fx) * image[y0, x0] + fx * image[y0, x1]
            out[i, j] = (1 - fy) * top + fy * ((1 - fx) * image[y1, x0] + fx * image[y1, x1])
    return out, valid


def random_flow(rng: np.random.Generator, h: int, w: int, scale: float = 4.0) -> np.ndarray:
    flow = rng.normal(scale=scale, size=(1, h, w, 2)).astype(np.float32)
    flow[rng.uniform(size=(1, h, w)) < 0.1] = np.nan
    flow[rng.uniform(size=(1, h, w)) < 0.02, 0] = np.inf
    return flow


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_warp_equals_interpolation_by_hand(rng, h, w):
    image = rng.uniform(size=(1, h, w, 3)).astype(np.float32)
    flow = random_flow(rng, h, w)
    moved, valid = jax.jit(warp)(image, flow)
    expected, expected_valid = bilinear_by_hand(image[0], flow[0])
    np.testing.assert_allclose(moved[0], expected, atol=1e-5)
    np.testing.assert_array_equal(valid[0], expected_valid)
    np.testing.assert_array_equal(inside(jnp.asarray(flow))[0], expected_valid)


@jax.jit
def both_ways(labels, flow):
    hot = one_hot(labels, 4)
    return vote_labels(labels, flow), warp(hot, flow), warp_one_hot(labels, flow, 4)


@settings(max_examples=50, deadline=None)
@given(
    # Few sizes: every one is compiled.
    size=st.sampled_from([(1, 1), (1, 5), (6, 1), (7, 9)]),
    classes=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    # Steps of 1/2 and 1/4 pixel make exact ties between the votes.
    grid=st.sampled_from([None, 0.5, 0.25]),
)
def test_hard_warp_is_the_argmax_of_the_warped_one_hot_map(size, classes, seed, grid):
    rng = np.random.default_rng(seed)
    flow = random_flow(rng, *size, scale=2.0)
    if grid is not None:
        flow = (np.round(flow / grid) * grid).astype(np.float32)
    labels = rng.integers(0, classes, (1, *size)).astype(np.int32)
    (moved, votes, valid), (soft, soft_valid), direct = both_ways(labels, flow)
    np.testing.assert_array_equal(moved, np.argmax(soft, axis=-1))
    np.testing.assert_array_equal(votes, np.max(soft, axis=-1))
    np.testing.assert_array_equal(valid, soft_valid)
    np.testing.assert_array_equal(direct, soft)


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int32])
def test_compiled_hard_warp_is_exact_on_a_large_map(rng, dtype):
    flow = jnp.asarray(random_flow(rng, 120, 160))
    labels = jnp.asarray(rng.integers(0, 12, (1, 120, 160)), dtype)
    moved, _ = jax.jit(warp_labels)(labels, flow)
    soft, _ = jax.jit(warp)(one_hot(labels, 12), flow)
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved, jnp.argmax(soft, axis=-1))


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_zero_flow_is_the_identity(rng, h, w):
    image = jnp.asarray(rng.uniform(size=(2, h, w, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 5, (2, h, w)), jnp.int32)
    flow = jnp.zeros((2, h, w, 2))
    for moved, original in [
        (warp(image, flow), image),
        (warp_labels(labels, flow), labels),
        ((warp_nearest(labels, flow), inside(flow)), labels),
        (compose_flow(flow, flow), flow),
    ]:
        np.testing.assert_array_equal(moved[0], original)
        assert bool(moved[1].all())


@pytest.mark.parametrize("shift", [(2, 0), (0, -3), (-1, 2)])
def test_integer_flow_is_a_shift(rng, shift):
    dx, dy = shift
    labels = rng.integers(0, 9, (1, 17, 31)).astype(np.int32)
    flow = jnp.broadcast_to(jnp.array([dx, dy], jnp.float32), (1, 17, 31, 2))
    moved, valid = warp_labels(jnp.asarray(labels), flow)
    rows = np.clip(np.arange(17) + dy, 0, 16)
    columns = np.clip(np.arange(31) + dx, 0, 30)
    np.testing.assert_array_equal(moved[0], labels[0][rows][:, columns])
    np.testing.assert_array_equal(moved, warp_nearest(jnp.asarray(labels), flow))
    expected = (rows == np.arange(17) + dy)[:, None] & (columns == np.arange(31) + dx)
    np.testing.assert_array_equal(valid[0], expected)


def test_one_hot_stays_a_distribution(rng):
    labels = jnp.asarray(rng.integers(0, 4, (1, 17, 31)), jnp.int32)
    moved, _ = warp(one_hot(labels, 4), jnp.asarray(random_flow(rng, 17, 31)))
    assert float(moved.min()) >= 0
    np.testing.assert_allclose(moved.sum(-1), 1, atol=1e-6)


def test_void_and_outside_are_never_valid():
    flow = jnp.array([[[[0, 0], [np.nan, 0], [0, np.inf], [0.5, 0]]]], jnp.float32)
    np.testing.assert_array_equal(inside(flow), [[[True, False, False, False]]])
    _, valid = compose_flow(flow, jnp.zeros_like(flow))
    np.testing.assert_array_equal(valid, inside(flow))


def test_constant_flows_compose_by_adding():
    first = jnp.broadcast_to(jnp.array([0.25, -1.5], jnp.float32), (1, 8, 9, 2))
    second = jnp.broadcast_to(jnp.array([1.0, 2.25], jnp.float32), (1, 8, 9, 2))
    np.testing.assert_array_equal(compose_flow(first, second)[0], first + second)


def test_there_and_back_is_consistent(rng):
    flow = jnp.broadcast_to(jnp.array([1.5, -0.5], jnp.float32), (1, 8, 9, 2))
    assert float(consistency_error(flow, -flow).max()) < 1e-5
    np.testing.assert_allclose(consistency_error(flow, flow), np.sqrt(10), rtol=1e-6)


def test_gradients_equal_finite_differences(rng, x64):
    # Sample points keep away from the grid lines, where bilinear sampling has a kink.
    flow = rng.integers(-2, 3, (1, 5, 6, 2)) + rng.uniform(0.2, 0.8, (1, 5, 6, 2))
    labels = jnp.asarray(rng.integers(0, 3, (1, 5, 6)))

    @jax.jit
    def everything(source, flow, before):
        moved = warp(source, flow)[0]
        return moved, consistency_error(flow, before), warp_one_hot(labels, flow, 3)

    arguments = rng.uniform(size=(1, 5, 6, 3)), flow, rng.normal(size=(1, 5, 6, 2))
    check_grads(everything, arguments, 1, modes=["rev"])


def test_void_flow_gives_finite_gradients():
    flow = jnp.full((1, 3, 4, 2), jnp.nan)
    source = jnp.ones((1, 3, 4, 2))
    gradient = jax.grad(lambda f: warp(source, f)[0].sum())(flow)
    np.testing.assert_array_equal(gradient, 0)
