"""Crops that start where a place of Ω's code starts, so that features lie under their pixels."""

from __future__ import annotations

import numpy as np

from wrp_jax.models.refine.pix2pix import STRIDE


def draw_aligned_crop(
    rng: np.random.Generator, shape: tuple[int, ...], size: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Draws a crop that starts where a place of Ω's code starts.

    Args:
      rng: source of the position.
      shape: rows and columns of the picture.
      size: side of the crop.

    Returns:
      Rows and columns of the crop: of the picture, and of features on the code's grid.
    """
    start = [int(rng.integers(max(0, n - size) // STRIDE + 1)) for n in shape[:2]]
    y, x = (slice(STRIDE * s, STRIDE * s + size) for s in start)
    rows, columns = (slice(s, s + size // STRIDE) for s in start)
    return (y, x), (rows, columns)
