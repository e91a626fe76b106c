"""Flow as colour: the hue is the direction, the saturation the length (Middlebury's wheel).

Reference: Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011;
vision.middlebury.edu/flow, ``colorcode.cpp``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

_SPANS = (
    # steps, from, to: red to yellow in 15 steps, and so on around
    (15, (1, 0, 0), (1, 1, 0)),
    (6, (1, 1, 0), (0, 1, 0)),
    (4, (0, 1, 0), (0, 1, 1)),
    (11, (0, 1, 1), (0, 0, 1)),
    (13, (0, 0, 1), (1, 0, 1)),
    (6, (1, 0, 1), (1, 0, 0)),
)


def color_wheel() -> Float[np.ndarray, "55 3"]:
    """RGB in 0 … 1 around the circle: red right, yellow down, cyan left, violet up."""
    return np.concatenate(
        [
            np.linspace(start, end, steps, endpoint=False, dtype=np.float64)
            for steps, start, end in _SPANS
        ]
    )


def flow_colors(
    flow: Float[np.ndarray, "h w 2"], longest: float | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a flow.

    Args:
      flow: ``(dx, dy)`` in pixels; void is NaN.
      longest: the length shown in full colour, in pixels; longer vectors are darkened. None: the
        picture's own longest.

    Returns:
      RGB; white where nothing moves, black where void.
    """
    known = np.asarray(np.isfinite(flow).all(axis=-1))
    vectors = np.where(known[..., None], flow, 0).astype(np.float64)
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    if longest is None:
        longest = float(length.max(initial=0))
    length = (length / max(longest, 1e-6))[..., None]
    wheel = color_wheel()
    turn = np.arctan2(-vectors[..., 1], -vectors[..., 0]) / (2 * np.pi) + 0.5
    place = turn * (len(wheel) - 1)
    below = place.astype(int)
    share = (place - below)[..., None]
    hue = (1 - share) * wheel[below] + share * wheel[(below + 1) % len(wheel)]
    colors = np.where(length <= 1, 1 - length * (1 - hue), 0.75 * hue)
    colors[~known] = 0
    return np.floor(255 * colors).astype(np.uint8)


def flow_strip(
    flows: Sequence[Float[np.ndarray, "h w 2"] | None],
) -> UInt8[np.ndarray, "n h w 3"] | None:
    """Pictures of several flows on one scale: the length that 98 % of the vectors stay below.

    Args:
      flows: of one size; None makes a white picture.

    Returns:
      RGB, or None where nothing moves in any of them.
    """
    known = [flow for flow in flows if flow is not None]
    if not known:
        return None
    lengths = np.linalg.norm(np.stack(known), axis=-1)
    lengths = lengths[np.isfinite(lengths)]
    if not lengths.any():
        return None
    longest = max(float(np.quantile(lengths, 0.98)), 1e-3)
    still = np.zeros_like(known[0])
    return np.stack([flow_colors(still if flow is None else flow, longest) for flow in flows])
