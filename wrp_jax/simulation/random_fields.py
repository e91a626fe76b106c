"""Random smooth fields and paces, of which motions and borders are made."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32


def smooth_field(
    rng: np.random.Generator, h: int, w: int, cells: int
) -> Float32[np.ndarray, "h w"]:
    """A random smooth field.

    Args:
      rng: source of every random choice.
      h: rows.
      w: columns.
      cells: about so many bumps across.

    Returns:
      Values in -1 … 1.
    """
    coarse = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), -1, 1)


def bending_field(
    rng: np.random.Generator, h: int, w: int, cells: int
) -> Float32[np.ndarray, "h w 2"]:
    """A random smooth displacement ``(dx, dy)``, each in -1 … 1; see ``smooth_field``."""
    return np.stack([smooth_field(rng, h, w, cells) for _ in range(2)], -1)


def random_progress(
    rng: np.random.Generator, steps: int, jitter: float
) -> Float32[np.ndarray, " frames"]:
    """How far a motion has come at every frame: nearly steady, now and then slowing down.

    Args:
      rng: source of every random choice.
      steps: frames after the first.
      jitter: standard deviation of a step's length, whose mean is about 1.

    Returns:
      0 at the first frame, about ``steps`` at the last.
    """
    pace = (
        1.0 + rng.uniform(-0.5, 0.5) * np.linspace(-1, 1, steps) + jitter * rng.normal(size=steps)
    )
    return np.concatenate([[0.0], np.cumsum(pace)]).astype(np.float32)
