"""Scores by distance from the labelled frame: one confusion matrix per method and distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from wrp_jax.evaluation.confusion import (
    confusion,
    interior,
    iou,
    mean_iou,
    mean_iou_with_void,
)
from wrp_jax.types import ClassMap

INTERIOR_PIXELS = 3

Matrices = Mapping[tuple[str, int], np.ndarray]
"""By (method, distance): int64 ``[2, C, C + 1]``, of all pixels and of the interior."""


class Evaluator:
    """Sums confusion matrices over windows, both directions into the same distance.

    ``matrices`` is the whole state, so evaluators of many windows or processes merge by
    addition, and a window's share can be kept in a file (``merge``).
    """

    def __init__(self, classes: ClassMap):
        self.classes = classes
        self.matrices: dict[tuple[str, int], np.ndarray] = {}

    def add(
        self,
        method: str,
        distance: int,
        truth: Integer[np.ndarray, "h w"],
        prediction: Integer[np.ndarray, "h w"],
    ) -> Integer[np.ndarray, "c c+1"]:
        """Counts one frame.

        Args:
          method: name of the method.
          distance: frames between this one and the labelled frame, at least 1.
          truth: class indices.
          prediction: class indices; what is none of them counts as unlabelled.

        Returns:
          The counts of this frame, see ``confusion``.

        Raises:
          ValueError: the distance is below 1: the labelled frame itself is not scored.
        """
        if distance < 1:
            raise ValueError(f"distance {distance}: frames next to the labelled one are scored")
        inside = interior(truth, INTERIOR_PIXELS)
        matrix = np.stack(
            [
                confusion(truth, prediction, self.classes.num_classes),
                confusion(truth[inside], prediction[inside], self.classes.num_classes),
            ]
        )
        self._add_matrix((method, distance), matrix)
        return matrix[0]

    def merge(self, matrices: Matrices) -> None:
        """Adds the counts of another evaluator of the same classes."""
        for key, matrix in matrices.items():
            self._add_matrix(key, matrix)

    def _add_matrix(self, key: tuple[str, int], matrix: np.ndarray) -> None:
        # A new array, never in place: the caller keeps its own.
        self.matrices[key] = self.matrices[key] + matrix if key in self.matrices else matrix

    def metrics(self, methods: Sequence[str] = ()) -> dict[str, Any]:
        """Scores of every method, those in ``methods`` first, then as they were added.

        Args:
          methods: names that are to be there even where nothing could be scored.

        Returns:
          ``{NAME: {"miou", "miou_with_void", "miou_interior": {"1": …}, "iou_per_class":
          {CLASS: {"1": …, "mean": …}}, "mean", "mean_with_void", "mean_interior"}}`` in
          0 … 100. Distances without truth are absent; means are over distances. A class is
          absent where it has no true pixel. Void classes stand in ``iou_per_class`` with the
          IoU that ``miou_with_void`` averages.
        """
        names = dict.fromkeys((*methods, *(name for name, _ in self.matrices)))
        return {name: self._method(name) for name in names}

    def _method(self, name: str) -> dict[str, Any]:
        void = self.classes.void
        curves: dict[str, dict[str, float]] = {
            "miou": {},
            "miou_with_void": {},
            "miou_interior": {},
        }
        per_class: dict[str, dict[str, float]] = {}
        for distance in sorted(d for n, d in self.matrices if n == name):
            whole, inside = self.matrices[name, distance]
            scores = {
                "miou": mean_iou(whole, void),
                "miou_with_void": mean_iou_with_void(whole),
                "miou_interior": mean_iou(inside, void),
            }
            for key, value in scores.items():
                if not np.isnan(value):
                    curves[key][str(distance)] = _percent(value)
            values = np.where(void, iou(whole), iou(whole, void))
            for class_name, value in zip(self.classes.names, values, strict=True):
                if not np.isnan(value):
                    per_class.setdefault(class_name, {})[str(distance)] = _percent(value)
        for scores in per_class.values():
            scores["mean"] = round(float(np.mean(list(scores.values()))), 4)
        return {
            **curves,
            "iou_per_class": {n: per_class[n] for n in self.classes.names if n in per_class},
            **{key.replace("miou", "mean"): _mean(curve) for key, curve in curves.items()},
        }


def _percent(value: float) -> float:
    return round(100.0 * value, 4)


def _mean(curve: Mapping[str, float]) -> float | None:
    return round(float(np.mean(list(curve.values()))), 4) if curve else None
