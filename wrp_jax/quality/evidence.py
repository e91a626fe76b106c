"""What is kept of a frame to estimate its quality: sums of signs, class by class."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from wrp_jax.quality.signs import Signs, grid_step

SIGNS = ("places", "border", "shift", "unsure", "lost", "unlike", "colour")
"""Columns of evidence, sums over the places that a label gives to a class: places; those at the
border of another class; by how many places the picture is off there; ``1 - confidence``; places
beside a border whose way to the labelled frame leads out of the picture; those of another colour;
and their photometric error, which no estimate reads: it is what estimates are compared with.
"""

_UNLIKE = 0.2
"""Photometric error (L2 norm of RGB in 0 … 1) from which a place shows something else."""
_BESIDE = np.ones((5, 5), np.uint8)


def on_grid(
    labels: np.ndarray, confidence: np.ndarray
) -> tuple[UInt8[np.ndarray, "gh gw"], UInt8[np.ndarray, "gh gw"]]:
    """Labels and confidence at the places of the grid, in a byte each.

    Args:
      labels: class indices ``[h, w]``; what is none becomes 255.
      confidence: 0 … 1, ``[h, w]``.
    """
    step = grid_step(*labels.shape)
    small = labels[::step, ::step]
    small = np.where((small >= 0) & (small <= 255), small, 255).astype(np.uint8)
    return small, np.rint(255.0 * confidence[::step, ::step]).astype(np.uint8)


def measure(
    labels: UInt8[np.ndarray, "h w"],
    confidence: UInt8[np.ndarray, "h w"],
    signs: Signs,
    num_classes: int,
) -> Float32[np.ndarray, "c signs"]:
    """The evidence of one frame.

    Args:
      labels: of ``on_grid``.
      confidence: of ``on_grid``.
      signs: of the frame.
      num_classes: of the data set; places without a class are left out.
    """
    border = border_places(labels)
    beside = cv2.dilate(border, _BESIDE).astype(np.float32)
    at_border = border.astype(np.float32)
    flat = np.minimum(labels.ravel(), num_classes).astype(np.int64)
    columns = (
        np.ones_like(at_border),
        at_border,
        at_border * signs.shift,
        1.0 - confidence / 255.0,
        beside * signs.lost,
        (signs.colour > _UNLIKE).astype(np.float32),
        signs.colour,
    )
    sums = [np.bincount(flat, column.ravel(), num_classes + 1) for column in columns]
    return np.stack(sums, axis=1)[:num_classes].astype(np.float32)


def border_places(labels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """1 where a place has a neighbour of another label, above, below or beside it."""
    border = np.zeros(labels.shape, np.uint8)
    beside, below = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    border[:, 1:] |= beside
    border[:, :-1] |= beside
    border[1:] |= below
    border[:-1] |= below
    return border
