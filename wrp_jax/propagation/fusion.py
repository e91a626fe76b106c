"""One label from what several labelled frames say of a pixel: a mean of their posteriors.

On the host, where posteriors wait for one another. Products are rounded before they are added (no
fused operation), so that the order of two labelled frames plays no part, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

LEAST_TRUST = 0.05
"""Weight that is left to a labelled frame from which a pixel could not be followed: where that is
so from all of them, distance decides."""


class Fused(NamedTuple):
    """What several labelled frames together say of a frame.

    Attributes:
      place: the likeliest column of the posteriors; of equally likely ones the first.
      confidence: its probability under their weighted mean.
      side: number of the labelled frame that speaks for it most; of several the first.
    """

    place: Int[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    side: Int[np.ndarray, "h w"]


def side_weight(
    distance: int, trust: Float[np.ndarray, "h w"] | None, weight_per_frame: float
) -> Float[np.ndarray, "*h_w"]:
    """How much a labelled frame counts, pixel by pixel; above 0, not normalised.

    Args:
      distance: to the labelled frame, in frames.
      trust: how far motion could follow the pixel from there, 0 … 1; None: all the way.
      weight_per_frame: what the weight is multiplied by for every frame of distance, 0 … 1.
    """
    near = np.float32(max(weight_per_frame, 1e-3) ** distance)
    if trust is None:
        return np.asarray(near)
    return near * np.maximum(trust.astype(np.float32), np.float32(LEAST_TRUST))


def fuse(
    probs: Sequence[Float[np.ndarray, "h w c"]], weights: Sequence[Float[np.ndarray, "*h_w"]]
) -> Fused:
    """Decides by the weighted mean of posteriors; where all say the same, so does the mean.

    Args:
      probs: of each labelled frame.
      weights: see ``side_weight``.
    """
    total, mean = np.zeros_like(weights[0]), np.zeros(probs[0].shape, np.float32)
    for said, weight in zip(probs, weights, strict=True):
        total += weight
        mean += weight[..., None] * said.astype(np.float32)
    place = np.argmax(mean, axis=-1)

    def of(distribution: np.ndarray) -> np.ndarray:
        return np.take_along_axis(distribution, place[..., None], axis=-1)[..., 0]

    shares = [weight * of(said) for said, weight in zip(probs, weights, strict=True)]
    return Fused(place, of(mean) / total, np.argmax(shares, axis=0))
