"""Appearance look-up: labels voted by similar-looking pixels near a position in a labelled frame.

A non-local mean over labels. Every pixel of the target frame looks at a small square of the
labelled frame, centred where a flow says it came from, and each pixel there votes for its own
label, the more the better the two patches match. It snaps labels to image edges, which flow
warping blurs. In RGB nothing is learned; with learned features it is a local memory attention
(space-time memory networks restrict it to a window in the same way).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Lookup(NamedTuple):
    """What a look-up found.

    Attributes:
      votes: per class, summing to 1 (to less where labels lie outside the classes).
      distance: smallest patch distance in the window: mean squared feature difference.
    """

    votes: Float[Array, "b h w c"]
    distance: Float[Array, "b h w"]


def lookup(
    query: Float[Array, "b h w f"],
    memory: Float[Array, "n mh mw f"],
    labels: Int[Array, "n mh mw"],
    flow: Float[Array, "b h w 2"],
    *,
    num_classes: int,
    source: Int[Array, " b"] | None = None,
    radius: int = 4,
    patch: int = 2,
    bandwidth: float = 0.003,
    sigma: float = 3.0,
) -> Lookup:
    """Votes of all offsets ``o`` within ``radius`` of the rounded position ``x + flow(x)``.

    The weight is ``softmax_o(-d(o) / bandwidth - 0.5 |o|² / sigma²)`` where ``d`` is the mean
    squared difference of query and memory over a ``(2 patch + 1)²`` square. A number for each
    offset and pixel is held between two scans over the offsets; a large ``d`` everywhere cannot
    underflow. Differentiable in ``query`` and ``memory``; positions are rounded, so the
    derivative with respect to ``flow`` is zero.

    Args:
      query: features of the target frame, or of a part of it (see ``warp``); RGB in 0 … 1 suits
        the default bandwidth.
      memory: features of the labelled frame.
      labels: class indices of the labelled frame; an index outside 0 … num_classes-1 votes for
        no class.
      flow: on the target frame into the labelled frame, ``(dx, dy)`` in pixels. A vector that is
        not finite looks in place.
      num_classes: number of channels of the votes.
      source: which of the labelled frames each target looks at; the one of its own place unless
        given.
      radius: half side of the window, in pixels, 1 or more.
      patch: half side of the compared square, in pixels.
      bandwidth: in squared feature units.
      sigma: width of the preference for offsets near the centre, in pixels.
    """
    b, rows, columns, f = query.shape
    h, w = labels.shape[1:3]
    finite = jnp.all(jnp.isfinite(flow), axis=-1, keepdims=True)
    flow = jax.lax.stop_gradient(jnp.round(jnp.where(finite, flow, 0.0)))
    # The centre stays inside, so that every pixel finds something; beyond the border that is
    # the nearest part of the frame, as ``warp`` has it.
    x = jnp.clip(jnp.arange(columns) + flow[..., 0], 0, w - 1).astype(jnp.int32)
    y = jnp.clip(jnp.arange(rows)[:, None] + flow[..., 1], 0, h - 1).astype(jnp.int32)
    source = jnp.arange(b) if source is None else source
    # With a border around it the frame is read without a test; one array per feature, so that
    # neighbouring pixels lie side by side.
    border = [(0, 0), (radius, radius), (radius, radius)]
    planes = [jnp.pad(memory[..., i], border, mode="edge").ravel() for i in range(f)]
    label_plane = jnp.pad(labels, border, mode="edge").ravel()
    wide, tall = w + 2 * radius, h + 2 * radius
    centre = (source[:, None, None] * tall + y + radius) * wide + x + radius
    # So has the target. Its pixels are one long row: sums over squares are sums of shifted rows,
    # wrong in the border alone, and no loop is as short as a block is wide.
    rim = [(0, 0), (patch, patch), (patch, patch)]
    pitch = columns + 2 * patch
    first = patch * (pitch + 1)
    length = b * (rows + 2 * patch) * pitch - 2 * first

    def row_of(array: Array) -> Array:
        return jnp.pad(array, rim, mode="edge").ravel()

    def inner(array: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(row_of(array), first, length)

    query_planes = [row_of(query[..., i]) for i in range(f)]
    index_row, x_row, y_row = row_of(centre), inner(x), inner(y)
    index_inner = inner(centre)
    side = np.arange(-radius, radius + 1)
    offsets = jnp.asarray(np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2))
    # Barriers: else a sum over neighbours reads, for each of them, the frame again.
    separate = jax.lax.optimization_barrier

    def over_square(error: Array) -> Array:
        for step in (pitch, 1):
            size = error.shape[0] - 2 * patch * step
            shifted = [error[i * step : i * step + size] for i in range(2 * patch + 1)]
            error = separate(functools.reduce(jnp.add, shifted))
        return error / (2 * patch + 1) ** 2

    @jax.checkpoint
    def measure(carry, offset):
        best, distance = carry
        index = index_row + (offset[0] * wide + offset[1])
        error = jnp.zeros((), query.dtype)
        for here, plane in zip(query_planes, planes, strict=True):
            difference = here - plane.at[index].get(mode="promise_in_bounds")
            error = error + difference * difference
        error = over_square(separate(error / f))
        oy, ox = y_row + offset[0], x_row + offset[1]
        inside = (oy >= 0) & (oy < h) & (ox >= 0) & (ox < w)
        near = 0.5 * jnp.sum(offset * offset).astype(error.dtype) / sigma**2
        score = jnp.where(inside, -error / bandwidth - near, -jnp.inf)
        distance = jnp.where(inside, jnp.minimum(distance, error), distance)
        return (jnp.maximum(best, jax.lax.stop_gradient(score)), distance), score

    infinite = jnp.full((length,), jnp.inf, query.dtype)
    (best, distance), scores = jax.lax.scan(measure, (-infinite, infinite), offsets)
    classes = jnp.arange(num_classes, dtype=labels.dtype)[:, None]

    def vote(carry, seen):
        votes, total = carry
        score, offset = seen
        weight = separate(jnp.exp(score - best))
        index = index_inner + (offset[0] * wide + offset[1])
        label = separate(label_plane.at[index].get(mode="promise_in_bounds"))
        return (votes + jnp.where(label == classes, weight, 0.0), total + weight), None

    start = jnp.zeros((num_classes, length), query.dtype), jnp.zeros_like(best)
    (votes, total), _ = jax.lax.scan(vote, start, (scores, offsets))

    def picture(row: Array) -> Array:
        row = jnp.pad(row, [(0, 0)] * (row.ndim - 1) + [(first, first)])
        row = row.reshape(*row.shape[:-1], b, rows + 2 * patch, pitch)
        return row[..., patch : patch + rows, patch : patch + columns]

    return Lookup(jnp.moveaxis(picture(votes / total), 0, -1), picture(distance))
