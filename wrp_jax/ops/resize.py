"""Bilinear resizing on half-pixel centres: pixel ``i`` covers ``[i, i+1)``, as in OpenCV, and in
PyTorch with ``align_corners=False``.
"""

from __future__ import annotations

import jax
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
    b, _, _, c = images.shape
    return jax.image.resize(images, (b, *size, c), method="bilinear", antialias=antialias)
