"""The motion of a window as the report shows it: one colour picture per frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from wrp_jax.reporting.film import shrink_flow
from wrp_jax.reporting.flow_colors import flow_strip
from wrp_jax.types import ClipCues


def flow_pictures(
    section: Callable[..., ClipCues], keys: Sequence[int], shown: Sequence[int]
) -> UInt8[np.ndarray, "n h w 3"] | None:
    """Colours of the flow on each frame into its neighbour on the labelled frame's side.

    Args:
      section: ``section(start, stop, flows=…)`` gives the cues of these frames of the window, as
        ``WindowCues`` does.
      keys: places of the labelled frames, whose pictures are white.
      shown: places of the frames.

    Returns:
      RGB at the size of the report, on one scale; None where nothing moves.
    """
    flows: list[Float[np.ndarray, "h w 2"] | None] = []
    for i in shown:
        key = min(keys, key=lambda key: abs(key - i))
        if i == key:
            flows.append(None)
        elif i > key:
            cues = section(i - 1, i + 1, flows=("backward",))
            flows.append(shrink_flow(np.asarray(cues.flow_backward[0])))
        else:
            cues = section(i, i + 2, flows=("forward",))
            flows.append(shrink_flow(np.asarray(cues.flow_forward[0])))
    return flow_strip(flows)
