"""The contract of f_θ on the host, and the motion that stands still."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Pairs(Protocol):
    """Estimates backward flow for a batch of image pairs."""

    def __call__(
        self, target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        """See ``Motion``."""
        ...


class Motion(NamedTuple):
    """Motion estimation: host arrays in, host arrays out.

    Attributes:
      pairs: ``pairs(target, source, initial=None) -> flow``. ``target``, ``source``: uint8
        ``[n, H, W, 3]`` RGB. ``flow``: float32 ``[n, H, W, 2]``, on ``target``, ``(dx, dy)`` in
        pixels, into ``source``; a void vector is NaN. ``initial``: a first guess of ``flow``,
        which a motion is free to ignore.
    """

    pairs: Pairs


def zero_motion() -> Motion:
    """Nothing moves: every label stays where it is (the ``static`` floor as a motion)."""

    def pairs(
        target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        return np.zeros((*target.shape[:3], 2), np.float32)

    return Motion(pairs)
