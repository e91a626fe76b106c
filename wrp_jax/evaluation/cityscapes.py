"""The scores of Cityscapes and of KITTI's semantics: IoU and iIoU of classes and of categories.

They differ from ``confusion`` in three things. A class that is never true but said on scored
pixels has an IoU of 0, not none. Categories are scored as if their classes were one. iIoU weighs
the pixels of each instance by the mean size of its class over its own size, so that small things
count as much as large ones; false positives are of no instance and are not weighed.

Reference: Cordts et al., CVPR 2016, section 4.1; mcordts/cityscapesScripts,
``evaluation/evalPixelLevelSemanticLabeling.py``, with the mean sizes given there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Integer

CATEGORIES: Mapping[str, tuple[int, ...]] = {
    "flat": (7, 8),
    "construction": (11, 12, 13),
    "object": (17, 19, 20),
    "nature": (21, 22),
    "sky": (23,),
    "human": (24, 25),
    "vehicle": (26, 27, 28, 31, 32, 33),
}
"""Ids of the classes that are scored, by category."""

NAMES: Mapping[int, str] = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
    24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle",
    33: "bicycle",
}  # fmt: skip
"""Names of these classes."""

MEAN_SIZE: Mapping[int, float] = {
    24: 3462.4756337644, 25: 3930.4788056518, 26: 12794.0202738185, 27: 27855.1264367816,
    28: 35732.1511111111, 31: 67583.7075812274, 32: 6298.7200839748, 33: 4672.3249222261,
}  # fmt: skip
"""Mean size of the instances of a class in pixels of 2048x1024 frames."""

_IN_CATEGORY = {**CATEGORIES, "vehicle": (*CATEGORIES["vehicle"], 29, 30)}
"""A pixel of an instance is right for its category with these ids too: caravan and trailer."""

_IDS = 34
_GROUPS = 1000
"""Ids of instances are 1000 times that of their class, plus a number; lower ones are groups."""


class CityscapesScores:
    """Sums over pictures; `scores` divides them once, at the end."""

    def __init__(self) -> None:
        self._counts = np.zeros((_IDS, _IDS), np.int64)
        self._hits: dict[int | str, float] = dict.fromkeys((*MEAN_SIZE, "human", "vehicle"), 0.0)
        self._misses = dict(self._hits)

    def add(
        self,
        truth: Integer[np.ndarray, "h w"],
        prediction: Integer[np.ndarray, "h w"],
        instances: Integer[np.ndarray, "h w"] | None = None,
    ) -> None:
        """Counts one picture.

        Args:
          truth: ``labelIds``, 0 … 33; others are not scored.
          prediction: ids as of ``labelIds``; what is none of 0 … 33 is wrong wherever it is scored.
          instances: ``instanceIds`` of the truth; without them the picture has no share in iIoU's
            hits.
        """
        known = (truth >= 0) & (truth < _IDS)
        said = np.where((prediction >= 0) & (prediction < _IDS), prediction, 0).astype(np.int64)
        pairs = truth[known].astype(np.int64) * _IDS + said[known]
        self._counts += np.bincount(pairs, minlength=_IDS**2).reshape(_IDS, _IDS)
        if instances is None:
            return
        for number in np.unique(instances[instances > _GROUPS]).tolist():
            own = number // _GROUPS
            if own not in MEAN_SIZE:
                continue
            inside = prediction[instances == number]
            weight = MEAN_SIZE[own] / inside.size
            category = "human" if own in CATEGORIES["human"] else "vehicle"
            for key, right in (
                (own, inside == own),
                (category, np.isin(inside, _IN_CATEGORY[category])),
            ):
                hits = int(np.count_nonzero(right))
                self._hits[key] += hits * weight
                self._misses[key] += (inside.size - hits) * weight

    def scores(self) -> dict[str, Any]:
        """``class`` and ``category``, each with ``IoU`` and ``iIoU`` by name and their ``mean``.

        In 0 … 100; None where there is nothing to divide by. Classes that have no instances have no
        iIoU.
        """
        scored = np.isin(np.arange(_IDS), [*NAMES])
        classes: dict[str, dict[str, float | None]] = {"IoU": {}, "iIoU": {}}
        for own, name in NAMES.items():
            hits, misses, false = self._sums([own], [own], scored)
            classes["IoU"][name] = _ratio(hits, misses, false)
            if own in MEAN_SIZE:
                classes["iIoU"][name] = _ratio(self._hits[own], self._misses[own], false)
        categories: dict[str, dict[str, float | None]] = {"IoU": {}, "iIoU": {}}
        for name, own in CATEGORIES.items():
            hits, misses, false = self._sums(own, own, scored)
            categories["IoU"][name] = _ratio(hits, misses, false)
            if name in self._hits:
                false = self._sums(own, _IN_CATEGORY[name], scored)[2]
                categories["iIoU"][name] = _ratio(self._hits[name], self._misses[name], false)
        return {
            title: {kind: {**by_name, "mean": _mean(by_name)} for kind, by_name in group.items()}
            for title, group in (("class", classes), ("category", categories))
        }

    def _sums(self, own: Any, said: Any, scored: np.ndarray) -> tuple[int, int, int]:
        """Hits, misses and false positives of classes taken together."""
        true, rows = list(own), scored.copy()
        rows[true] = False
        hits = int(self._counts[np.ix_(true, true)].sum())
        misses = int(self._counts[true].sum()) - hits
        return hits, misses, int(self._counts[rows][:, list(said)].sum())


def _ratio(hits: int | float, misses: int | float, false: int | float) -> float | None:
    total = hits + misses + false
    return 100.0 * hits / total if total else None


def _mean(scores: Mapping[str, float | None]) -> float | None:
    there = [score for score in scores.values() if score is not None]
    return sum(there) / len(there) if there else None
