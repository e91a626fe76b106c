"""Work on the blocks of frames that hold a wanted pixel, a few at a time, and on no others.

What is to be computed is often needed in a third of a picture only. How many blocks there are is
known when the program runs; it is a loop of that length over batches of one shape, so nothing is
compiled anew and memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Shaped


class Blocks(NamedTuple):
    """Where some blocks lie, and rims around them as far as the picture goes.

    Attributes:
      picture: which of the pictures each is a part of.
      top, left: where each begins.
      size: height and width of all of them.
    """

    picture: Int[Array, " k"]
    top: Int[Array, " k"]
    left: Int[Array, " k"]
    size: tuple[int, int]

    def cut(self, tree: Any) -> Any:
        """The blocks of every ``[n, h, w, ...]`` array, as ``[k, *size, ...]``."""

        def cut_one(array: Array, picture: Array, top: Array, left: Array) -> Array:
            rest = array.shape[3:]
            start = (picture, top, left, *(0,) * len(rest))
            return jax.lax.dynamic_slice(array, start, (1, *self.size, *rest))[0]

        every = jax.vmap(cut_one, in_axes=(None, 0, 0, 0))
        return jax.tree.map(lambda array: every(array, *self[:3]), tree)

    def cut_channel(
        self, array: Shaped[Array, "n h w c *f"], channel: Int[Array, " k"]
    ) -> Shaped[Array, "k bh bw *f"]:
        """The blocks of an array, each with one channel alone."""

        def cut_one(*start: Array) -> Array:
            rest = array.shape[4:]
            at = (*start, *(0,) * len(rest))
            return jax.lax.dynamic_slice(array, at, (1, *self.size, 1, *rest))[0, :, :, 0]

        return jax.vmap(cut_one)(*self[:3], channel)

    def within(self, outer: Blocks) -> Blocks:
        """These blocks in the frames that the pictures, themselves blocks, are parts of."""
        of = self.picture
        top, left = self.top + outer.top[of], self.left + outer.left[of]
        return Blocks(outer.picture[of], top, left, self.size)


def grow(wanted: Bool[Array, "n h w"], radius: int) -> Bool[Array, "n h w"]:
    """Wanted pixels, and those within ``radius`` rows and columns of one."""
    for axis in (1, 2):
        window = tuple(2 * radius + 1 if i == axis else 1 for i in range(3))
        wanted = jax.lax.reduce_window(wanted, False, jax.lax.bitwise_or, window, (1, 1, 1), "SAME")
    return wanted


def in_blocks(
    visit: Callable[[Blocks], Any],
    wanted: Bool[Array, "n h w"],
    out: Any,
    *,
    side: int,
    rim: int,
    at_once: int,
) -> Any:
    """Writes what ``visit`` says of blocks that hold a wanted pixel into arrays.

    Args:
      visit: ``visit(blocks) -> tree`` of arrays ``[at_once, *blocks.size, ...]``.
      wanted: pixels of n pictures.
      out: tree of arrays ``[n, h, w, ...]``; where there is no wanted pixel they stay.
      side: of a block in pixels, less where pictures are smaller.
      rim: pixels around a block that its results depend on; seen by ``visit``, unless the picture
        ends there, and thrown away.
      at_once: blocks that are visited together.
    """
    n, h, w = wanted.shape
    core = min(side, h), min(side, w)
    size = min(side + 2 * rim, h), min(side + 2 * rim, w)
    rows, columns = -(-h // core[0]), -(-w // core[1])
    padded = jnp.pad(wanted, [(0, 0), (0, rows * core[0] - h), (0, columns * core[1] - w)])
    flags = padded.reshape(n, rows, core[0], columns, core[1]).any(axis=(2, 4)).ravel()
    (places,) = jnp.nonzero(flags, size=flags.size, fill_value=0)
    count = flags.sum()

    def several(number: Array, out: Any) -> Any:
        # Where a batch is not full its last block comes again.
        turn = jnp.minimum(number * at_once + jnp.arange(at_once), count - 1)
        picture, cell = jnp.divmod(places[turn], rows * columns)
        row, column = jnp.divmod(cell, columns)
        top, left = (
            jnp.minimum(row * core[0], h - core[0]),
            jnp.minimum(column * core[1], w - core[1]),
        )
        first = jnp.clip(top - rim, 0, h - size[0]), jnp.clip(left - rim, 0, w - size[1])
        found = visit(Blocks(picture, *first, size))

        def put(i: Array, out: Any) -> Any:
            inner, place = (top[i] - first[0][i], left[i] - first[1][i]), (top[i], left[i])

            def put_one(array: Array, parts: Array) -> Array:
                rest = (0,) * (array.ndim - 3)
                part = jax.lax.dynamic_slice(
                    parts, (i, *inner, *rest), (1, *core, *array.shape[3:])
                )
                return jax.lax.dynamic_update_slice(array, part, (picture[i], *place, *rest))

            return jax.tree.map(put_one, out, found)

        return jax.lax.fori_loop(0, at_once, put, out)

    return jax.lax.fori_loop(0, -(-count // at_once), several, out)
