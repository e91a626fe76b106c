"""Estimated IoU of a frame, from its evidence: a linear model of five signs, none below zero.

Errors of a class per place that it has are ``r = weights · signs / places``; its IoU is
``1 / (1 + r)``. Every sign can but lower it. What a run itself knows of its errors, from labelled
frames that were left out, scales ``1 - mIoU`` (``calibration.py``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from wrp_jax.quality.evidence import SIGNS

_WEIGHED = ("border", "shift", "unsure", "lost")
_UNLIKE_LEAST, _UNLIKE_WEIGHT = 0.4, 20.0
"""Share of a frame that shows other colours than the labelled one from which it is of another
scene, and what every further share of 1 adds to r. Moving scenes of the three shared sets stay
below 0.2; two frames of different clips are above 0.6."""
_FEW = 10.0  # places of a class that count half
_NEW = 3000.0  # of a class that no labelled frame has, which is mostly a mistake
_GONE = 0.6  # how far a class counts that the labelled frames have and this one has lost
REASONS = {
    "border": "many borders",
    "shift": "borders are off the picture",
    "unsure": "motion and segmentation disagree",
    "sides": "the two sides disagree",
    "lost": "entering content",
    "few": "small classes",
    "gone": "classes are lost",
    "unlike": "another scene",
}
"""What ``reason`` says, by the sign that lowers a frame's estimate most."""
BY_HAND = "labelled by hand"
UNREACHED = "out of reach"
"""Of frames that have no label: all labelled ones are too far away."""


class Weights(NamedTuple):
    """What each sign adds to r, per place of the class; at least 0.

    Attributes:
      border: a place beside another class.
      shift: a place by which such a one is off the picture.
      unsure: ``1 - confidence``.
      lost: a place beside a border that motion brings from outside the picture.
      few: the class itself: IoU of few places is low.
    """

    border: float
    shift: float
    unsure: float
    lost: float
    few: float


class Estimate(NamedTuple):
    """What is expected of a frame's labels.

    Attributes:
      miou: mean IoU over the classes that are there, 0 … 1; NaN where there is none.
      iou: by class, 0 … 1; NaN for void and for classes that the label does not have.
      wrong: share of the places whose label is wrong, 0 … 1.
      sign: key of ``REASONS``: what lowers ``miou`` most.
      classes: how many classes ``miou`` is mostly a mean of, at least 1.
    """

    miou: float
    iou: Float[np.ndarray, " c"]
    wrong: float
    sign: str
    classes: int = 1


def class_errors(
    evidence: Float[np.ndarray, "c signs"], weights: Weights
) -> Float[np.ndarray, " c"]:
    """The errors r of every class; what stands for none that the label has says nothing.

    Args:
      evidence: of the frame, see ``evidence.measure``.
      weights: of the method.
    """
    return np.sum(list(_parts(evidence, weights).values()), axis=0)


def _parts(
    evidence: Float[np.ndarray, "c signs"], weights: Weights
) -> dict[str, Float[np.ndarray, " c"]]:
    """What each sign adds to r."""
    sums = {name: evidence[:, i].astype(np.float64) for i, name in enumerate(SIGNS)}
    places = sums["places"]
    per_place = 1.0 / np.maximum(places, 1.0)
    parts = {name: getattr(weights, name) * sums[name] * per_place for name in _WEIGHED}
    parts["few"] = weights.few * _FEW * per_place
    unlike = max(0.0, sums["unlike"].sum() / max(places.sum(), 1.0) - _UNLIKE_LEAST)
    parts["unlike"] = np.full(len(places), _UNLIKE_WEIGHT * unlike)
    return parts


def estimate(
    evidence: Float[np.ndarray, "c signs"],
    known: Bool[np.ndarray, " c"],
    void: Bool[np.ndarray, " c"],
    weights: Weights,
    *,
    both_sides: bool = False,
) -> Estimate:
    """Estimates one frame.

    Void is no class here: its places are neither right nor wrong, as where mIoU is measured, but
    its borders are those of the classes beside it.

    Args:
      evidence: of the frame, see ``evidence.measure``.
      known: classes that the labelled frames of the window have.
      void: of the class map.
      weights: of the method.
      both_sides: whether the label was decided from several labelled frames.
    """
    places = evidence[:, SIGNS.index("places")].astype(np.float64)
    here = (places > 0) & ~void
    parts = _parts(evidence, weights)
    errors = np.sum(list(parts.values()), axis=0)
    iou = np.where(here, 1.0 / (1.0 + errors), np.nan)
    share = here * np.where(known, places / (places + _FEW), np.minimum(places / _NEW, 1.0))
    gone = _GONE * float((known & ~void & (places == 0)).sum())
    total = share.sum() + gone
    if not total:
        return Estimate(float("nan"), iou, 0.0, "few")
    miou = float(np.nansum(share * iou) / total)
    # What each part takes from the mean: r / (1 + r), split among the parts of r.
    taken = {k: float((share * part / (1.0 + errors)).sum()) for k, part in parts.items()}
    taken["gone"] = gone
    sign = max(taken, key=lambda name: taken[name])
    if sign == "unsure" and both_sides:
        sign = "sides"
    # As many places are missed as are wrongly there: IoU = (n - e) / (n + e).
    wrong = (places * errors / (2.0 + errors))[here].sum() / max(places[here].sum(), 1.0)
    return Estimate(miou, iou, float(wrong), sign, max(int((known & ~void).sum()), 1))
