"""Nearest-neighbour backward warping, as the SDC-Net release moves label images.

The oracle of the golden files; the product votes exactly (``ops/warp.py``).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


def resample_nearest(
    source: Shaped[Array, "b h w c"], flow: Float[Array, "b h w 2"]
) -> Shaped[Array, "b h w c"]:
    """The source pixel at ``floor(x + dx + 1/2), floor(y + dy + 1/2)``, clamped to the picture.

    Args:
      source: any type, on the source frame.
      flow: on the target frame, finite, ``(dx, dy)`` in pixels, pointing into the source frame.

    Returns:
      The source seen from the target frame; what lies outside copies the border.

    Reference: NVIDIA/flownet2-pytorch, ``networks/resample2d_package`` (kernel size 1, nearest).
    """
    b, h, w, c = source.shape
    x = jnp.floor(jnp.arange(w, dtype=flow.dtype) + flow[..., 0] + 0.5)
    y = jnp.floor(jnp.arange(h, dtype=flow.dtype)[:, None] + flow[..., 1] + 0.5)
    x = jnp.clip(x, 0, w - 1).astype(jnp.int32)
    y = jnp.clip(y, 0, h - 1).astype(jnp.int32)
    indices = (y * w + x).reshape(b, h * w, 1)
    moved = jnp.take_along_axis(
        source.reshape(b, h * w, c), indices, axis=1, mode="promise_in_bounds"
    )
    return moved.reshape(b, h, w, c)
