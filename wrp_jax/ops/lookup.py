"""Appearance look-up: labels voted by similar-looking pixels near a position in a labelled frame.

A non-local mean over labels. Every pixel of the target frame looks at a small square of the
labelled frame, centred where a flow says it came from, and each pixel there votes for its own
label, the more the better the two patches match. It snaps labels to image edges, which flow
warping blurs. In RGB nothing is learned; with learned features it is a local memory attention
(space-time memory networks restrict it to a window in the same way).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wrp_jax.ops.filters import box_mean


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
    memory: Float[Array, "b mh mw f"],
    labels: Int[Array, "b mh mw"],
    flow: Float[Array, "b h w 2"],
    *,
    num_classes: int,
    radius: int = 4,
    patch: int = 2,
    bandwidth: float = 0.003,
    sigma: float = 3.0,
) -> Lookup:
    """Votes of all offsets ``o`` within ``radius`` of the rounded position ``x + flow(x)``.

    The weight is ``softmax_o(-d(o) / bandwidth - 0.5 |o|² / sigma²)`` where ``d`` is the mean
    squared difference of query and memory over a ``(2 patch + 1)²`` square. Offsets are scanned
    with a running maximum (as in flash attention): memory does not grow with their number, and a
    large ``d`` everywhere cannot underflow. Differentiable in ``query`` and ``memory``; positions
    are rounded, so the derivative with respect to ``flow`` is zero.

    Args:
      query: features of the target frame, or of a part of it (see ``warp``); RGB in 0 … 1 suits
        the default bandwidth.
      memory: features of the labelled frame.
      labels: class indices of the labelled frame; an index outside 0 … num_classes-1 votes for
        no class.
      flow: on the target frame into the labelled frame, ``(dx, dy)`` in pixels. A vector that is
        not finite looks in place.
      num_classes: number of channels of the votes.
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
    side = np.arange(-radius, radius + 1)
    offsets = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    # The labels ride along in the gather: one index per offset and pixel instead of two.
    packed = jnp.concatenate([memory, labels[..., None].astype(memory.dtype)], axis=-1)
    packed = packed.reshape(b, h * w, f + 1)
    classes = jnp.arange(num_classes, dtype=memory.dtype)

    @jax.checkpoint
    def visit(carry, offset):
        best, votes, total, distance = carry
        oy, ox = y + offset[0], x + offset[1]
        inside = (oy >= 0) & (oy < h) & (ox >= 0) & (ox < w)
        index = jnp.clip(oy, 0, h - 1) * w + jnp.clip(ox, 0, w - 1)
        found = jnp.take_along_axis(
            packed, index.reshape(b, rows * columns, 1), axis=1, mode="promise_in_bounds"
        ).reshape(b, rows, columns, f + 1)
        difference = query - found[..., :f]
        error = jnp.mean(difference * difference, axis=-1, keepdims=True)
        error = box_mean(error, patch)[..., 0]
        near = 0.5 * jnp.sum(offset * offset).astype(error.dtype) / sigma**2
        score = jnp.where(inside, -error / bandwidth - near, -jnp.inf)
        top = jnp.maximum(best, score)
        # exp(-inf - -inf) is NaN: as long as no offset was inside, nothing is rescaled.
        reference = jnp.where(jnp.isfinite(top), top, 0.0)
        keep, add = jnp.exp(best - reference), jnp.exp(score - reference)
        votes = votes * keep[..., None] + add[..., None] * (found[..., f:] == classes)
        total = total * keep + add
        distance = jnp.where(inside, jnp.minimum(distance, error), distance)
        return (top, votes, total, distance), None

    start = (
        jnp.full((b, rows, columns), -jnp.inf, query.dtype),
        jnp.zeros((b, rows, columns, num_classes), query.dtype),
        jnp.zeros((b, rows, columns), query.dtype),
        jnp.full((b, rows, columns), jnp.inf, query.dtype),
    )
    (_, votes, total, distance), _ = jax.lax.scan(visit, start, jnp.asarray(offsets))
    return Lookup(votes / total[..., None], distance)
