"""Where the label of every pixel of a frame comes from."""

from __future__ import annotations

import enum

import numpy as np
from jaxtyping import UInt8

from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import NO_PARTIAL, FramePrediction

UNKNOWN = 255
"""Side or age that is not known."""


class Kind(enum.IntEnum):
    """How a label came to its pixel; first channel of ``provenance``.

    Attributes:
      UNKNOWN: the carrier does not remember (`hard` and `soft` labels that segmentation fills up).
      MANUAL: given by hand, in this frame.
      CARRIED: moved here from a labelled frame.
      INPAINTED: put in by segmentation, or by the paper's refiner, and moved on from there.
      CHOSEN: chosen by the refiner among several guesses.
      CORRECTED: moved here from a partial label.
    """

    UNKNOWN = 0
    MANUAL = 1
    CARRIED = 2
    INPAINTED = 3
    CHOSEN = 4
    CORRECTED = 5


_COLORS = {
    Kind.MANUAL: (255, 255, 255),
    Kind.CARRIED: (60, 130, 240),
    Kind.INPAINTED: (240, 160, 40),
    Kind.CHOSEN: (80, 200, 120),
    Kind.CORRECTED: (230, 70, 200),
}


def source_colors() -> UInt8[np.ndarray, "256 3"]:
    """RGB of ``2 * kind + side``; labels from later frames are darker."""
    colors = np.zeros((256, 3), np.uint8)
    for kind, color in _COLORS.items():
        colors[2 * kind] = color
        colors[2 * kind + 1] = np.asarray(color) * 2 // 3
    return colors


def provenance(
    window: LabelledWindow, said: FramePrediction, *, inpaints: bool, chooses: bool
) -> UInt8[np.ndarray, "h w 3"]:
    """Kind, side and age of every pixel's label.

    Args:
      window: of the frame.
      said: of the frame.
      inpaints: whether segmentation has a say: a label whose source is not remembered may be its.
      chooses: whether labels are chosen among guesses where their source is not remembered.

    Returns:
      ``Kind``; 0 for a label from an earlier frame or from this one, 1 from a later one; and the
      steps since it was given or put in. ``UNKNOWN`` where side or age is not known, and 254 for
      more steps.
    """
    shape = said.labels.shape
    at = np.array([key.index for key in window.all_keys])
    if said.side is not None:
        key = at[said.side]
    else:
        own = window.nearest(said.frame).index if said.key is None else said.key
        key = np.full(shape, own)
    steps = said.frame - key
    kind, age = np.full(shape, Kind.CARRIED, np.uint8), np.abs(steps)
    if said.source is not None:
        put_in = said.source > 0
        kind[put_in] = Kind.INPAINTED
        age = np.where(put_in, age - said.source, age)
    elif chooses or inpaints:
        kind[:], age = Kind.CHOSEN if chooses else Kind.UNKNOWN, np.full(shape, -1)
    age = np.where(age < 0, UNKNOWN, np.minimum(age, UNKNOWN - 1))
    if said.frame in at:
        kind[:], age, steps = Kind.MANUAL, np.zeros(shape, int), np.zeros(shape, int)
    if said.partial is not None:
        moved, far = said.partial != NO_PARTIAL, said.partial.astype(int)
        kind[moved] = np.where(far[moved] == 0, Kind.MANUAL, Kind.CORRECTED)
        steps = np.where(moved, far, steps)
        age = np.where(moved, np.minimum(np.abs(far), UNKNOWN - 1), age)
    side = np.where(kind == Kind.UNKNOWN, UNKNOWN, steps < 0)
    return np.stack([kind, side, age], -1).astype(np.uint8)
