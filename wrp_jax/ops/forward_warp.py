"""Forward warping: pixels are sent along a flow that lives on their own frame.

Where ``warp`` fetches what a pixel of the target frame shows, this carries what a pixel of the
source frame shows: places that no pixel is sent to stay empty.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from wrp_jax.ops.warp import Extent, inside

EMPTY = -1
"""Index of a place that no pixel is sent to."""


def landing(flow: Float[Array, "b h w 2"], extent: Extent = None) -> Int[Array, "b h w"]:
    """Which pixel of the source frame arrives at each place of the target frame.

    A pixel arrives at the place that is nearest to where its flow ends. Of several the last in
    reading order stays, whatever the device. One that leaves the frame, or whose flow is not
    finite, arrives nowhere.

    Args:
      flow: on the source frame, ``(dx, dy)`` in pixels, pointing into the target frame.
      extent: of the frames.

    Returns:
      On the target frame, the index into the flattened source frame; ``EMPTY`` where there is none.
    """
    b, h, w, _ = flow.shape
    arrives = inside(flow, extent)
    if extent is not None:
        arrives &= (jnp.arange(h)[:, None] < extent[0]) & (jnp.arange(w) < extent[1])
    flow = jnp.where(arrives[..., None], flow, 0)
    column = jnp.round(jnp.arange(w, dtype=flow.dtype) + flow[..., 0]).astype(jnp.int32)
    row = jnp.round(jnp.arange(h, dtype=flow.dtype)[:, None] + flow[..., 1]).astype(jnp.int32)
    place = jnp.where(arrives, row * w + column, h * w).reshape(b, h * w)
    pixels = jnp.broadcast_to(jnp.arange(h * w, dtype=jnp.int32), (b, h * w))
    empty = jnp.full((b, h * w), EMPTY, jnp.int32)
    found = empty.at[jnp.arange(b)[:, None], place].max(pixels, mode="drop")
    return found.reshape(b, h, w)


def carry(source: Shaped[Array, "b h w c"], index: Int[Array, "b h w"]) -> Shaped[Array, "b h w c"]:
    """Values of the pixels that ``landing`` names; 0 where there is none.

    Args:
      source: on the source frame.
      index: of ``landing``.
    """
    b, h, w, c = source.shape
    at = jnp.maximum(index, 0).reshape(b, h * w, 1)
    found = jnp.take_along_axis(
        source.reshape(b, h * w, c), at, axis=1, mode="promise_in_bounds"
    ).reshape(b, h, w, c)
    return jnp.where((index != EMPTY)[..., None], found, 0)
