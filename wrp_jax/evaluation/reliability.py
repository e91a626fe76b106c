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
      sums: float64 ``[3, BINS]``, the whole state: pixels, the sum of their confidence, and those
        of them that are right. Sums of many pictures or processes merge by addition.
    """

    def __init__(self) -> None:
        self.sums: Float[np.ndarray, "3 bins"] = np.zeros((3, BINS))

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
          labels: class indices; where they say void, or no class at all, nothing is claimed and
            nothing is counted.
          truth: class indices.
          scored: bool, per class; pixels of other classes (void) are left out.
        """
        keep = _is_scored(truth, scored) & _is_scored(labels, scored)
        sure = confidence[keep].astype(np.float64)
        place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        right = (labels == truth)[keep]
        self.sums += [np.bincount(place, x, minlength=BINS) for x in (None, sure, right)]

    @property
    def count(self) -> Float[np.ndarray, " bins"]:
        """Pixels, by bin."""
        return self.sums[0]

    @property
    def confidence(self) -> Float[np.ndarray, " bins"]:
        """Sum of the confidence, by bin."""
        return self.sums[1]

    @property
    def correct(self) -> Float[np.ndarray, " bins"]:
        """Pixels that are right, by bin."""
        return self.sums[2]

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
        """Everything as JSON values; of no pixels nothing is known, which is None."""
        known = self.count.any()
        return {
            "expected_error": self.expected_error if known else None,
            "accuracy": self.accuracy if known else None,
            "confidence": float(self.confidence.sum() / self.count.sum()) if known else None,
            "pixels": int(self.count.sum()),
            "curve": self.curve(),
        }


def _is_scored(labels: Integer[np.ndarray, "*n"], scored: np.ndarray) -> np.ndarray:
    inside = (labels >= 0) & (labels < len(scored))
    return inside & np.asarray(scored)[np.where(inside, labels, 0)]
