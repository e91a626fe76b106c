"""Blocks of frames that hold a wanted pixel: what is visited, and what is written."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wrp_jax.ops.blocks import Blocks, grow, in_blocks
from wrp_jax.ops.filters import box_mean


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    size=st.sampled_from([(20, 33), (7, 40)]),
    side=st.sampled_from([5, 8]),
    at_once=st.sampled_from([1, 3]),
    wanted=st.lists(st.tuples(*[st.integers(0, 999)] * 3), max_size=4),
)
def test_what_is_written_equals_the_whole_and_the_rest_stays(size, side, at_once, wanted):
    rng = np.random.default_rng(0)
    pictures = jnp.asarray(rng.random((2, *size, 3)), jnp.float32)
    mask = np.zeros((2, *size), bool)
    for place in wanted:
        mask[tuple(np.mod(place, mask.shape))] = True
    seen = jax.jit(
        lambda pictures, mask: in_blocks(
            lambda blocks: box_mean(blocks.cut(pictures), 2),
            mask,
            jnp.full_like(pictures, -1.0),
            side=side,
            rim=2,
            at_once=at_once,
        )
    )(pictures, jnp.asarray(mask))
    whole, written = np.asarray(box_mean(pictures, 2)), (np.asarray(seen) != -1).all(-1)
    np.testing.assert_allclose(np.asarray(seen)[written], whole[written], atol=1e-6)
    assert written[mask].all() and written.sum() <= 2 * side * side * max(1, mask.sum())
    assert written.any() == mask.any()


def test_channels_and_blocks_within_blocks():
    array = jnp.arange(2 * 9 * 8 * 3 * 2).reshape(2, 9, 8, 3, 2)
    outer = Blocks(*jnp.asarray([[1, 0], [2, 1], [3, 0]]), (5, 5))
    inner = Blocks(*jnp.asarray([[0, 1, 1], [1, 2, 0], [0, 1, 2]]), (2, 3))
    within = inner.within(outer)
    np.testing.assert_array_equal(within.cut(array), inner.cut(outer.cut(array)))
    picked = within.cut_channel(array, jnp.asarray([2, 0, 1]))
    expected = np.stack(
        [np.asarray(within.cut(array))[i, ..., c, :] for i, c in enumerate((2, 0, 1))]
    )
    np.testing.assert_array_equal(picked, expected)


def test_wanted_pixels_grow_by_squares():
    wanted = np.zeros((1, 7, 9), bool)
    wanted[0, 0, 4] = True
    expected = np.zeros_like(wanted)
    expected[0, :3, 2:7] = True
    np.testing.assert_array_equal(grow(jnp.asarray(wanted), 2), expected)
