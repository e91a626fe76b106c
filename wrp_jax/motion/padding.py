"""Padding images to a network's multiple by repeating the edge, and cropping flows back.

Reference: princeton-vl/RAFT, ``core/utils/utils.py`` (``InputPadder``).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Shaped

MODES = ("sintel", "kitti")
"""Of ``padding_for``, by the data sets that the published code pads so."""


class Padding(NamedTuple):
    """Rows and columns added on each side."""

    top: int
    bottom: int
    left: int
    right: int

    def pad(self, images: Shaped[Array, "*n h w c"]) -> Shaped[Array, "*n _ _ c"]:
        """Repeats the edge."""
        added = ((self.top, self.bottom), (self.left, self.right), (0, 0))
        return jnp.pad(images, ((0, 0),) * (images.ndim - 3) + added, mode="edge")

    def crop(self, images: Shaped[Array, "*n h w c"]) -> Shaped[Array, "*n _ _ c"]:
        """Takes off what ``pad`` added."""
        height, width = images.shape[-3:-1]
        return images[..., self.top : height - self.bottom, self.left : width - self.right, :]


def padding_for(
    height: int, width: int, multiple: int, *, mode: str = "sintel", smallest: int = 0
) -> Padding:
    """The least padding that makes a size fit.

    Args:
      height: of the images.
      width: of the images.
      multiple: that both must become a multiple of.
      mode: ``sintel`` splits the padding between the sides (the smaller half at top and left);
        ``kitti`` does so at the sides and puts all rows below the picture.
      smallest: that both must reach at least.
    """
    rows, columns = (
        -(-max(size, smallest) // multiple) * multiple - size for size in (height, width)
    )
    if mode not in MODES:
        raise ValueError(f"padding is {' or '.join(MODES)}, not {mode!r}")
    top = rows // 2 if mode == "sintel" else 0
    left = columns // 2
    return Padding(top, rows - top, left, columns - left)
