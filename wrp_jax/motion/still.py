"""The motion that stands still."""

from __future__ import annotations

import numpy as np

from wrp_jax.types import Clip, Motion, Positions


def zero_motion() -> Motion:
    """Nothing moves: every label stays where it is (the ``static`` floor as a motion)."""

    def motion(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        return np.zeros((len(targets), *clip.frame(0).shape[:2], 2), np.float32)

    return motion
