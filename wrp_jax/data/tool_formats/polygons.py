"""Which pixels a polygon covers: those whose centres lie inside of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from numpy.typing import ArrayLike

_FARTHEST = 1e9
"""Pixels; differences of the largest numbers would be infinite."""


def fill(points: ArrayLike, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """The pixels of a polygon.

    A polygon that crosses itself covers what an odd number of its turns goes around.

    Args:
      points: ``[n, 2]``, ``(x, y)`` of its corners in pixels; (0, 0) is the corner of the first
        pixel.
      height: of the picture; what lies outside of it is cut off.
      width: of the picture.

    Raises:
      ValueError: fewer than three corners, coordinates that are no numbers or beyond 1e9, or all
        of it beside the picture: it belongs to a picture of another size.
    """
    corners = np.asarray(points, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError("a polygon needs three corners, each of x and y")
    if not np.isfinite(corners).all():
        raise ValueError("a polygon has a corner that is no number")
    if np.abs(corners).max() > _FARTHEST:
        raise ValueError("a polygon has a corner that is far from any picture")
    beside = corners.max(0) < 0
    beside |= corners.min(0) > (width, height)
    if beside.any():
        raise ValueError(f"a polygon lies beside its picture of {width}x{height}")
    flips = np.zeros((height, width + 1), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        # The rows whose centres lie at or below the upper end, and above the lower one.
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (y0, y1))
        rows = np.arange(first, last)
        if not len(rows):
            continue
        x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        flips[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] ^= True
    return np.logical_xor.accumulate(flips[:, :-1], axis=1)
