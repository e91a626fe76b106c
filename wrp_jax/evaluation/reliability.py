"""How far the confidence of a labelling can be believed: reliability curve, expected error.

Pixels are sorted into bins by their confidence; in each bin the mean confidence is compared with
the share of pixels that are right. Counts add up over pictures and are divided once, at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Integer

BINS = 20
"""Bins of equal width over 0 … 1."""


class Reliability:
    """Sums over scored pixels, by bin of confidence.

    Attributes:
      count: float64 ``[BINS]``, pixels.
      confidence: float64 ``[BINS]``, sum of their confidence.
      correct: float64 ``[BINS]``, those that are right.
    """

    def __init__(self) -> None:
        self.count, self.confidence, self.correct = (np.zeros(BINS) for _ in range(3))

    def add(
        self,
        confidence: Float[np.ndarray, "*n"],
        labels: Integer[np.ndarray, "*n"],
        truth: Integer[np.ndarray, "*n"],
        scored: np.ndarray,
    ) -> None:
        """Adds pixels.

        Args:
          confidence: of the label, 0 … 1.
          labels: class indices.
          truth: class indices.
          scored: bool, per class; pixels of other classes (void) are left out.
        """
        inside = (truth >= 0) & (truth < len(scored))
        keep = inside & np.asarray(scored)[np.where(inside, truth, 0)]
        sure = confidence[keep].astype(np.float64)
        place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        right = (labels == truth)[keep]
        self.count += np.bincount(place, minlength=BINS)
        self.confidence += np.bincount(place, sure, minlength=BINS)
        self.correct += np.bincount(place, right, minlength=BINS)

    @property
    def expected_error(self) -> float:
        """Expected calibration error: ``Σ_b n_b / n · |accuracy_b − confidence_b|``, 0 … 1.

        Reference:
          Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
        """
        gap = np.abs(self.correct - self.confidence).sum()
        return float(gap / max(self.count.sum(), 1.0))

    @property
    def accuracy(self) -> float:
        """Share of the scored pixels that are right."""
        return float(self.correct.sum() / max(self.count.sum(), 1.0))

    def curve(self) -> list[dict[str, float]]:
        """Bins with pixels in them: mean ``confidence``, ``accuracy`` and ``share`` of all."""
        total = max(self.count.sum(), 1.0)
        return [
            {
                "confidence": float(self.confidence[b] / self.count[b]),
                "accuracy": float(self.correct[b] / self.count[b]),
                "share": float(self.count[b] / total),
            }
            for b in np.flatnonzero(self.count)
        ]

    def summary(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "expected_error": self.expected_error,
            "accuracy": self.accuracy,
            "pixels": int(self.count.sum()),
            "curve": self.curve(),
        }
