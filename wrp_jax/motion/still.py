"""The motion that stands still."""

from __future__ import annotations

import numpy as np

from wrp_jax.types import Motion


def zero_motion() -> Motion:
    """Nothing moves: every label stays where it is (the ``static`` floor as a motion)."""

    def pairs(
        target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        return np.zeros((*target.shape[:3], 2), np.float32)

    return Motion(pairs)
