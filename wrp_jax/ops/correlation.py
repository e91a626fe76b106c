"""Correlation of two feature maps: RAFT's all-pairs pyramid, FlowNetC's local window.

Features float ``[b, h, w, c]``; coordinates ``(x, y)`` in pixels of the finest level of the
second map. A sample outside the map is zero. Products are summed in float32.

Reference: Teed and Deng, RAFT (ECCV 2020), section 3.2; princeton-vl/RAFT ``core/corr.py``;
Dosovitskiy et al., FlowNet (ICCV 2015), section 3.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def _halve(maps: Array, y_axis: int) -> Array:
    """Averages 2x2 blocks over ``y_axis`` and the axis after it; an odd remainder is dropped."""
    h, w = maps.shape[y_axis] // 2, maps.shape[y_axis + 1] // 2
    maps = jax.lax.slice_in_dim(maps, 0, 2 * h, axis=y_axis)
    maps = jax.lax.slice_in_dim(maps, 0, 2 * w, axis=y_axis + 1)
    before, after = maps.shape[:y_axis], maps.shape[y_axis + 2 :]
    blocks = maps.reshape(*before, h, 2, w, 2, *after)
    return blocks.mean(axis=(y_axis + 1, y_axis + 3))


def correlation_pyramid(
    features1: Float[Array, "b h w c"], features2: Float[Array, "b h2 w2 c"], levels: int = 4
) -> tuple[Float[Array, "b h w _ _"], ...]:
    """All-pairs correlation ``<f1(p), f2(q)> / sqrt(c)``, averaged over q from level to level.

    Returns:
      Per level float32 ``[b, h, w, h2 / 2^l, w2 / 2^l]``. Level 0 of a 1024x2048 picture at
      stride 8 takes 4.3 GB: see ``feature_pyramid``.
    """
    volume = jnp.einsum(
        "bhwc,bijc->bhwij", features1, features2, preferred_element_type=jnp.float32
    ) / math.sqrt(features1.shape[-1])
    pyramid = [volume]
    for _ in range(levels - 1):
        pyramid.append(_halve(pyramid[-1], 3))
    return tuple(pyramid)


def feature_pyramid(
    features2: Float[Array, "b h w c"], levels: int = 4
) -> tuple[Float[Array, "b _ _ c"], ...]:
    """The second map alone, averaged from level to level.

    Averaging is linear, so correlating with these gives the levels of ``correlation_pyramid``.
    """
    pyramid = [features2]
    for _ in range(levels - 1):
        pyramid.append(_halve(pyramid[-1], 1))
    return tuple(pyramid)


def pyramid_bytes(batch: int, height: int, width: int, levels: int = 4) -> int:
    """Memory of ``correlation_pyramid`` for maps of one size, in bytes."""
    cells = sum((height >> level) * (width >> level) for level in range(levels))
    return 4 * batch * height * width * cells


def _window(
    coords: Array, level: int, radius: int, height: int, width: int
) -> tuple[Array, Array, Array]:
    """Where a window of ``2r+2`` by ``2r+2`` cells lies around each point, on one level.

    Returns:
      Flat cell indices int32 ``[..., k, k]`` (rows, columns), whether each cell lies inside, and
      the fractions ``(x, y)`` of the point inside its cell ``[..., 2]``.
    """
    # Points further out than a window see zeros alone; clipped, they stay fit for int32.
    beyond = jnp.asarray([width, height], coords.dtype) + radius
    point = jnp.clip(coords / 2**level, -radius - 2.0, beyond)
    corner = jnp.floor(point)
    steps = jnp.arange(-radius, radius + 2)
    x = corner[..., 0, None].astype(jnp.int32) + steps
    y = corner[..., 1, None].astype(jnp.int32) + steps
    inside_x, inside_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    row = jnp.clip(y, 0, height - 1)[..., :, None] * width
    indices = row + jnp.clip(x, 0, width - 1)[..., None, :]
    return indices, inside_y[..., :, None] & inside_x[..., None, :], point - corner


def _interpolate(cells: Array, fraction: Array) -> Array:
    """Bilinear samples of a window ``[..., k, k]``, flattened with the x offset slow."""
    fx, fy = fraction[..., 0, None, None], fraction[..., 1, None, None]
    cells = (1 - fx) * cells[..., :-1] + fx * cells[..., 1:]
    cells = (1 - fy) * cells[..., :-1, :] + fy * cells[..., 1:, :]
    cells = jnp.swapaxes(cells, -1, -2)
    return cells.reshape(*cells.shape[:-2], -1)


def lookup(
    pyramid: tuple[Float[Array, "b h w _ _"], ...], coords: Float[Array, "b h w 2"], radius: int
) -> Float[Array, "b h w k"]:
    """Samples the correlation pyramid in a window around each point.

    Args:
      pyramid: of ``correlation_pyramid``.
      coords: where each pixel of the first map stands in the second, ``(x, y)``.
      radius: r; the window has ``2r + 1`` points per axis, one pixel of its level apart.

    Returns:
      Channel ``l (2r+1)^2 + (a + r) (2r+1) + (b + r)`` is level l at ``coords / 2^l + (a, b)``:
      the x offset a is the slow one.
    """
    samples = []
    for level, volume in enumerate(pyramid):
        *lead, height, width = volume.shape
        indices, inside, fraction = _window(coords, level, radius, height, width)
        cells = jnp.take_along_axis(
            volume.reshape(*lead, height * width),
            indices.reshape(*lead, -1),
            axis=-1,
            mode="promise_in_bounds",
        )
        cells = jnp.where(inside, cells.reshape(indices.shape), 0.0)
        samples.append(_interpolate(cells, fraction))
    return jnp.concatenate(samples, axis=-1)


def lookup_on_the_fly(
    features1: Float[Array, "b h w c"],
    pyramid: tuple[Float[Array, "b _ _ c"], ...],
    coords: Float[Array, "b h w 2"],
    radius: int,
) -> Float[Array, "b h w k"]:
    """``lookup`` without the volume: correlates the cells of each window when they are asked for.

    One row of the first map is in work at a time, so memory grows with its width alone.

    Args:
      features1: first map.
      pyramid: of ``feature_pyramid``.
      coords: as in ``lookup``.
      radius: as in ``lookup``.

    Returns:
      As ``lookup``, up to the order of summation.
    """
    scale = 1 / math.sqrt(features1.shape[-1])

    # Without the checkpoint the gathered features of all rows would wait for the gradient.
    @jax.checkpoint
    def row(inputs: tuple[Array, Array]) -> Array:
        features, points = inputs
        samples = []
        for level, second in enumerate(pyramid):
            b, height, width, c = second.shape
            indices, inside, fraction = _window(points, level, radius, height, width)
            cells = jnp.take_along_axis(
                second.reshape(b, height * width, c),
                indices.reshape(b, -1, 1),
                axis=1,
                mode="promise_in_bounds",
            ).reshape(*indices.shape, c)
            products = jnp.einsum(
                "bwc,bwijc->bwij", features, cells, preferred_element_type=jnp.float32
            )
            samples.append(_interpolate(jnp.where(inside, products * scale, 0.0), fraction))
        return jnp.concatenate(samples, axis=-1)

    rows = jax.lax.map(row, (jnp.swapaxes(features1, 0, 1), jnp.swapaxes(coords, 0, 1)))
    return jnp.swapaxes(rows, 0, 1)


@functools.partial(jax.jit, static_argnames=("radius", "stride"))
def local_correlation(
    features1: Float[Array, "b h w c"],
    features2: Float[Array, "b h w c"],
    radius: int = 20,
    stride: int = 2,
) -> Float[Array, "b h w k"]:
    """FlowNetC's correlation: mean over channels of ``f1(y, x) f2(y + dy, x + dx)``.

    Displacements run from ``-radius`` to ``radius`` in steps of ``stride``; dy is the slow one.
    """
    _, h, w, _ = features1.shape
    margin = ((0, 0), (radius, radius), (radius, radius), (0, 0))
    padded = jnp.pad(features2, margin)
    steps = range(0, 2 * radius + 1, stride)

    def one_row(dy: Array) -> Array:
        rows = jax.lax.dynamic_slice_in_dim(padded, dy, h, axis=1)
        return jnp.stack([(features1 * rows[:, :, dx : dx + w]).mean(axis=-1) for dx in steps])

    products = jax.lax.map(one_row, jnp.asarray(steps))
    return jnp.moveaxis(products, (0, 1), (-2, -1)).reshape(*features1.shape[:3], -1)
