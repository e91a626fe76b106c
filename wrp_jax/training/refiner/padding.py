"""Pictures that are smaller than a crop."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped


def pad_to_size(
    array: Shaped[np.ndarray, "h w ..."], size: int, fill: int | None = None
) -> Shaped[np.ndarray, "ph pw ..."]:
    """Enlarges the two leading axes to ``size`` where they are shorter.

    Args:
      array: a picture.
      size: least height and width.
      fill: value of what is added below and to the right; None mirrors the picture there.
    """
    pad = [(0, max(0, size - n)) for n in array.shape[:2]] + [(0, 0)] * (array.ndim - 2)
    if not any(after for _, after in pad):
        return array
    if fill is None:
        return np.pad(array, pad, mode="symmetric")
    return np.pad(array, pad, constant_values=fill)
