"""Ψ^W and Ψ^R as pure steps over the cues of one frame (eq. 3-8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.ops.photometric import trust_mask
from wrp_jax.ops.warp import compose_flow, warp
from wrp_jax.propagation.carriers import Carrier, Reading
from wrp_jax.types import Cues

Refine = Callable[[Array, Array, Cues], Array]
"""Ω of eq. 8: ``refine(probs [b, h, w, c], features [b, fh, fw, f], cues_t) -> probs``."""

Step = Callable[[Any, Cues], tuple[Any, Any]]
"""``step(state, cues_t) -> (state, output)``; the cues of one step, without the time axis."""


class MaskOptions(NamedTuple):
    """Where motion is trusted (eq. 6). Numbers may be traced: τ can be learned.

    Attributes:
      tau: photometric threshold τ: RGB L2 norm with channels 0 … 1.
      consistency_pixels: largest forward-backward error in pixels; None for the paper's mask.
      inpaint_confidence: g_ψ takes over only where it is surer than this, 0 … 1.
      softness: 0 for the indicator; else the width of the sigmoid that replaces it in the
        photometric test, in the units of τ.
    """

    tau: float | Array
    consistency_pixels: float | Array | None = None
    inpaint_confidence: float | Array | None = None
    softness: float = 0.0


def trust(cues: Cues, options: MaskOptions) -> Float[Array, "b h w"]:
    """M of eq. 5 and 6: 1 where motion is trusted, 0 where segmentation takes over.

    As in the paper where the photometric error is below τ; but a label from outside the frame,
    or moved by void flow, is never trusted.
    """
    mask = trust_mask(cues.photometric, cues.valid, options.tau, softness=options.softness)
    if options.consistency_pixels is not None:
        mask = mask * (cues.consistency < options.consistency_pixels)
    if options.inpaint_confidence is not None:
        sure = jnp.max(cues.probs, axis=-1) > options.inpaint_confidence
        mask = jnp.where(sure, mask, 1)
    return mask


def make_step(
    carrier: Carrier,
    mask: MaskOptions | None,
    refine: Refine | None = None,
    *,
    recursive: bool = True,
) -> Callable[[Any, Cues], tuple[Any, Reading]]:
    """Builds one step of the recursion.

    Args:
      carrier: how labels are carried.
      mask: M of eq. 6; None moves labels only (motion-only).
      refine: Ω of eq. 8, applied after eq. 5.
      recursive: whether the next step starts from its result (eq. 8), or from that of eq. 5.

    Returns:
      Ψ^W (eq. 3-7), or with ``refine`` Ψ^R (eq. 8). Where ``cues.active`` is 0 the state stands
      still.
    """

    def step(state: Any, cues: Cues) -> tuple[Any, Reading]:
        new = carrier.warp(state, cues.flow)
        if mask is not None:
            new = carrier.blend(new, trust(cues, mask), cues.probs)
        refined = new
        if refine is not None:
            refined = carrier.replace(new, refine(carrier.probs(new), cues.features, cues))

        def hold(now: Array, before: Array) -> Array:
            active = cues.active.reshape(-1, *(1,) * (now.ndim - 1))
            return jnp.where(active > 0, now, before)

        refined = jax.tree.map(hold, refined, state)
        new = refined if recursive else jax.tree.map(hold, new, state)
        return new, carrier.read(refined)

    return step


def image_step(state: tuple[Array, Array], cues: Cues) -> tuple[tuple[Array, Array], Array]:
    """Moves the labelled frame's image along with its labels: joint image-label propagation
    (Zhu et al., CVPR 2019, section 3.2), so that picture and label stay aligned.

    Args:
      state: the labelled frame's image ``[b, h, w, 3]``, and the flow into it; zero at first.
      cues: of one step.

    Returns:
      The new state, and the image as the target frame shows it. It is sampled once, by the
      composed flow, and so does not blur with distance.
    """
    key, before = state
    flow, _ = compose_flow(cues.flow, before)
    flow = jnp.where(cues.active[:, None, None, None] > 0, flow, before)
    return (key, flow), warp(key, flow)[0]
