"""What is known of a method's errors before a run: weights of signs, and spreads.

Made from synthetic streets, whose true labels are known, by ``python -m experiments.prior W``; no
real video plays a part.
"""

from __future__ import annotations

from typing import NamedTuple

from wrp_jax.quality.estimate import Weights

_WIDER = 1.5
"""Video varies more than the streets that the spreads come from: they are that much wider."""


class Prior(NamedTuple):
    """What is expected of a method.

    Attributes:
      weights: of the signs.
      spreads: quantiles of the spreads of ``calibration.py``, at 5 %, 15 %, … 95 %.
    """

    weights: Weights
    spreads: tuple[float, ...]


_SPREADS = (-0.88, -0.42, -0.10, 0.08, 0.19, 0.29, 0.41, 0.57, 0.72, 0.98)
"""Of motion-only, for all: those of the others were narrower, but their networks knew streets."""
_WEIGHTS = {
    "motion-only": Weights(border=0.0, shift=1.62, unsure=0.41, lost=2.10, few=3.08),
    # Not fitted: the same motion carries its labels.
    "flow-voting": Weights(border=0.0, shift=1.62, unsure=0.41, lost=2.10, few=3.08),
    "warp-inpaint": Weights(border=0.0, shift=1.05, unsure=2.16, lost=0.0, few=2.41),
    "warp-refine": Weights(border=0.05, shift=1.46, unsure=0.0, lost=0.74, few=2.42),
}


def prior_of(method: str) -> Prior:
    """What is expected of a method that moves labels."""
    return Prior(_WEIGHTS[method], tuple(_WIDER * spread for spread in _SPREADS))
