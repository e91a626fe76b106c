"""Bilinear resizing on half-pixel centres: pixel ``i`` covers ``[i, i+1)``, as in OpenCV, and in
PyTorch with ``align_corners=False``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def resize(
    images: Float[Array, "b h w c"], size: tuple[int, int], *, antialias: bool = False
) -> Float[Array, "b new_h new_w c"]:
    """Resizes images, logits, features or distributions bilinearly.

    Args:
      images: any range; the result stays within it, and a distribution stays one.
      size: new height and width in pixels.
      antialias: when shrinking, average over all source pixels that a new pixel covers instead
        of interpolating between four of them.
    """
    b, height, width, c = images.shape
    if (height, width) == tuple(size):
        return images
    if antialias:
        return jax.image.resize(images, (b, *size, c), method="bilinear")
    # Two matrix products: their gradient is two more, where that of a gather is a slow scatter.
    rows = _interpolation(height, size[0]).astype(images.dtype)
    columns = _interpolation(width, size[1]).astype(images.dtype)
    return jnp.einsum("oh,pw,bhwc->bopc", rows, columns, images, precision="highest")


def _interpolation(old: int, new: int) -> Float[Array, "{new} {old}"]:
    """Weights of old pixels in new ones along one side, edges repeated."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return jnp.maximum(0, 1 - jnp.abs(centres.astype(np.float32)[:, None] - np.arange(old)))
