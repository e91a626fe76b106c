"""Level and intervals of estimates: from labelled frames that were left out, and from a prior.

A score is ``log((1 - true mIoU) / (1 - estimated mIoU))``: 0 where the estimate is right, log 2
where there is twice as much wrong as was said. The median of the scores moves the estimates of a
run. What is left of them, times the root of the number of classes, is the spread: a mean over few
classes varies more. Its quantiles are the ends of intervals, as in split conformal prediction. Few
labelled frames can be left out of a run, so that the spread of a prior counts beside its own.

Reference:
  Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005;
  Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-Free Predictive Inference for
  Regression", JASA 2018.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

COVERAGE = 0.9
"""Share of the frames whose true mIoU an interval is to hold."""
_LEAST = 0.005  # of 1 - mIoU: below, a ratio says nothing
_PRIOR = 8.0
"""Scores of a run that weigh as much as the prior."""


def score(true: float, estimated: float) -> float:
    """How much more is wrong than was said, as a logarithm; mIoU in 0 … 1."""
    return float(np.log(max(1.0 - true, _LEAST) / max(1.0 - estimated, _LEAST)))


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Turns an estimate into what is told.

    Attributes:
      shift: added to ``log(1 - mIoU)``.
      low, high: spreads between which ``COVERAGE`` of the frames lie.
      left_out: how many labelled frames it rests on; 0: on the prior alone.
    """

    shift: float
    low: float
    high: float
    left_out: int = 0

    def __call__(self, miou: float, classes: int) -> tuple[float, float, float]:
        """The mIoU that is told, and the ends of its interval, 0 … 1.

        Args:
          miou: estimated, 0 … 1.
          classes: over which it is a mean, at least 1.
        """
        ends = np.array([0.0, self.high, self.low]) / np.sqrt(classes)
        wrong = max(1.0 - miou, _LEAST) * np.exp(self.shift + ends)
        told, low, high = 1.0 - np.minimum(wrong, 1.0)
        return float(told), float(min(low, told)), float(max(high, told))

    def wrong(self, share: float) -> float:
        """A share of wrong places, 0 … 1."""
        return float(min(share * np.exp(self.shift), 1.0))


def calibrate(own: Sequence[float], classes: Sequence[int], prior: Sequence[float]) -> Calibration:
    """Weighs the scores of a run against a prior.

    Args:
      own: scores of the run's left-out frames; may be empty.
      classes: of each of them, over which its mIoU is a mean.
      prior: spreads of the clips from which the weights come, at least two.
    """
    trust = len(own) / (len(own) + _PRIOR)
    shift = trust * float(np.median(own)) if own else 0.0
    spreads = np.concatenate([(np.asarray(own) - shift) * np.sqrt(classes), prior])
    weights = np.repeat([trust, 1.0 - trust], [len(own), len(prior)])
    weights /= np.repeat([max(len(own), 1), len(prior)], [len(own), len(prior)])
    order = np.argsort(spreads, kind="stable")
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.interp([tail, 1.0 - tail], reached, spreads[order])
    return Calibration(shift, float(low), float(high), len(own))
