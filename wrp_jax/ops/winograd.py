"""3x3 convolutions of many channels with 16 products per 2x2 pixels instead of 36 (Winograd).

Reference: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, F(2x2, 3x3):
``Y = A' [(G K G') * (B' X B)] A`` for a tile Y of 2x2 pixels under which 4x4 pixels X lie. Each of
the 16 products of elements is a matrix product over all tiles and channels.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_PIXELS = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
"""``B'``."""
_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
"""``G``."""
_RESULT = ((1, 1, 1, 0), (0, 1, -1, -1))
"""``A'``."""

_BLOCK = 512
"""Tiles at once: enough for products at full speed, few enough to stay in the cache."""

Matrix = Sequence[Sequence[int | float]]
Grid = Iterable[Iterable[Array]]


# Compiled once per shape also where the network around it is not compiled as a whole.
@jax.jit
def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c out"]
) -> Float[Array, "b h w out"]:
    """Cross-correlation at stride 1 with a border of one zero."""
    (b, height, width, _), out = x.shape, kernel.shape[-1]
    rows, blocks, columns = _blocks(b, height, width)
    tiles = _tiles_of(x, rows, blocks, columns)
    weights = _both_sides(_KERNEL, [list(line) for line in kernel])

    def put_block(block: Array, y: Array) -> Array:
        products = [
            [(t @ k).reshape(b, rows, columns, out) for t, k in zip(*line, strict=True)]
            for line in zip(tiles(block), weights, strict=True)
        ]
        pixels = jnp.stack(
            [jnp.stack(line, axis=3) for line in _both_sides(_RESULT, products)], axis=2
        )
        pixels = pixels.reshape(b, 2 * rows, 2 * columns, out)
        return jax.lax.dynamic_update_slice_in_dim(y, pixels, block * 2 * rows, 1)

    y = jnp.zeros((b, 2 * rows * blocks, 2 * columns, out), x.dtype)
    return jax.lax.fori_loop(0, blocks, put_block, y)[:, :height, :width]


@jax.jit
def kernel_gradient(
    x: Float[Array, "b h w c"], cotangent: Float[Array, "b h w out"]
) -> Float[Array, "3 3 c out"]:
    """What `convolve` of ``x`` makes of a cotangent of its result, for the kernel."""
    b, height, width, out = cotangent.shape
    c = x.shape[-1]
    rows, blocks, columns = _blocks(b, height, width)
    tiles = _tiles_of(x, rows, blocks, columns)
    cotangent = _pad(cotangent, (0, 0), (2 * rows * blocks, 2 * columns))
    over_tiles = (((0,), (0,)), ((), ()))

    def add_block(block: Array, total: list[list[Array]]) -> list[list[Array]]:
        given = jax.lax.dynamic_slice_in_dim(cotangent, block * 2 * rows, 2 * rows, 1)
        given = [[given[:, i::2, j::2].reshape(-1, out) for j in range(2)] for i in range(2)]
        return [
            [s + jax.lax.dot_general(t, d, over_tiles) for s, t, d in zip(*line, strict=True)]
            for line in zip(
                total, tiles(block), _both_sides(_transposed(_RESULT), given), strict=True
            )
        ]

    zero = [[jnp.zeros((c, out), x.dtype)] * 4] * 4
    total = jax.lax.fori_loop(0, blocks, add_block, zero)
    return jnp.stack([jnp.stack(line) for line in _both_sides(_transposed(_KERNEL), total)])


def _blocks(b: int, height: int, width: int) -> tuple[int, int, int]:
    """Rows of tiles per block, blocks, columns of tiles."""
    lines, columns = -(-height // 2), -(-width // 2)
    rows = max(1, min(lines, _BLOCK // (b * columns)))
    return rows, -(-lines // rows), columns


def _tiles_of(x: Array, rows: int, blocks: int, columns: int) -> Callable[[Array], Grid]:
    """A function from a block's number to its transformed tiles: 4x4 matrices, a row per tile."""
    c = x.shape[-1]
    x = _pad(x, (1, 1), (2 * rows * blocks + 2, 2 * columns + 2))

    def tiles(block: Array) -> Grid:
        under = jax.lax.dynamic_slice_in_dim(x, block * 2 * rows, 2 * rows + 2, 1)
        pixels = [
            [
                under[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2].reshape(-1, c)
                for j in range(4)
            ]
            for i in range(4)
        ]
        return _both_sides(_PIXELS, pixels)

    return tiles


def _pad(x: Array, before: tuple[int, int], size: tuple[int, int]) -> Array:
    sides = [(n, size[i] - n - x.shape[i + 1]) for i, n in enumerate(before)]
    return jnp.pad(x, ((0, 0), *sides, (0, 0)))


def _both_sides(matrix: Matrix, grid: Grid) -> list[list[Array]]:
    """``matrix @ grid @ matrix.T``, a small matrix of numbers and a grid of arrays."""
    columns = [_combine(matrix, column) for column in zip(*grid, strict=True)]
    return [_combine(matrix, line) for line in zip(*columns, strict=True)]


def _combine(matrix: Matrix, parts: Sequence[Array]) -> list[Array]:
    return [
        functools.reduce(
            operator.add, [share * part for share, part in zip(line, parts, strict=True) if share]
        )
        for line in matrix
    ]


def _transposed(matrix: Matrix) -> Matrix:
    return list(zip(*matrix, strict=True))
