"""Ψ^W and Ψ^R as pure steps over the cues of one frame (eq. 3-8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.ops.photometric import trust_mask
from wrp_jax.ops.warp import Extent, compose_flow, warp
from wrp_jax.propagation.carriers import Carrier, Reading
from wrp_jax.types import Cues

Refine = Callable[[Array, Array, Cues], Array]
"""Ω of eq. 8: ``refine(probs [b, h, w, c], features [b, fh, fw, f], cues_t) -> probs``."""

Step = Callable[[Any, Cues], tuple[Any, Any]]
"""``step(state, cues_t) -> (state, output)``; the cues of one step, without the time axis."""


_DOUBTED = 0.5
"""What is left of a pixel's trust where a sign speaks against motion: each is found beside borders,
too."""

_SAME_COLOUR = 0.12
"""Photometric error (eq. 6) up to which a step shows no sign of a mistake. τ, from which labels are
given up, is larger; measured between labelled frames of Chen's videos, 0.12 told sides apart best.
"""


class MaskOptions(NamedTuple):
    """Where motion is trusted (eq. 6). Numbers may be traced: τ can be learned.

    Attributes:
      tau: photometric threshold τ: RGB L2 norm with channels 0 … 1.
      consistency_pixels: largest forward-backward error in pixels; None for the paper's mask.
      inpaint_confidence: least probability of g_ψ's class with which it takes over where flow is
        inconsistent alone, 0 … 1.
      softness: 0 for the indicator; else the width of the sigmoid that replaces it in the
        photometric test, in the units of τ.
    """

    tau: float | Array
    consistency_pixels: float | Array | None = None
    inpaint_confidence: float | Array | None = None
    softness: float = 0.0


def trust(
    options: MaskOptions,
    photometric: Float[Array, "b h w"],
    valid: Float[Array, "b h w"],
    consistency: Float[Array, "b h w"],
    probs: Float[Array, "b h w c"],
) -> Float[Array, "b h w"]:
    """M of eq. 5 and 6: 1 where motion is trusted, 0 where segmentation takes over.

    As in the paper where the photometric error is below τ; but a label from outside the frame,
    or moved by void flow, is never trusted. Flow that does not lead back again is a weaker sign
    against motion than another colour: there g_ψ takes over where it is sure alone.

    Args:
      options: which tests, and their thresholds.
      photometric: error of eq. 6, of one step.
      valid: 1 where the source lies inside the picture.
      consistency: forward-backward error in pixels.
      probs: softmax of g_ψ on the target image.
    """
    mask = trust_mask(photometric, valid, options.tau, softness=options.softness)
    if options.consistency_pixels is None:
        return mask
    doubtful = consistency >= options.consistency_pixels
    if options.inpaint_confidence is not None:
        doubtful &= jnp.max(probs, axis=-1) > options.inpaint_confidence
    return jnp.where(doubtful, 0, mask)


def make_step(
    carrier: Carrier,
    mask: MaskOptions | None,
    refine: Refine | None = None,
    *,
    recursive: bool = True,
    with_probs: bool = False,
) -> Callable[[Any, Cues], tuple[Any, Reading]]:
    """Builds one step of the recursion.

    Args:
      carrier: how labels are carried.
      mask: M of eq. 6; None moves labels only (motion-only).
      refine: Ω of eq. 8, applied after eq. 5.
      recursive: whether the next step starts from its result (eq. 8), or from that of eq. 5.
      with_probs: whether readings hold the distribution, too.

    Returns:
      Ψ^W (eq. 3-7), or with ``refine`` Ψ^R (eq. 8). Where ``cues.active`` is 0 the state stands
      still.
    """

    def step(state: Any, cues: Cues) -> tuple[Any, Reading]:
        new = carrier.warp(state, cues.flow)
        if carrier.anchor is not None and cues.direct is not None:
            new = carrier.anchor(new, cues.direct, cues.image)
        if mask is not None:
            seen = cues.photometric, cues.valid, cues.consistency, cues.probs
            new = carrier.blend(new, trust(mask, *seen), cues.probs)
        refined = new
        if refine is not None:
            refined = carrier.replace(new, refine(carrier.probs(new), cues.features, cues))

        def hold(now: Array, before: Array) -> Array:
            active = cues.active.reshape(-1, *(1,) * (now.ndim - 1))
            return jnp.where(active > 0, now, before)

        refined = jax.tree.map(hold, refined, state)
        new = refined if recursive else jax.tree.map(hold, new, state)
        reading = carrier.read(refined)
        if with_probs:
            reading = reading._replace(probs=carrier.probs(refined).astype(jnp.float16))
        return new, reading

    return step


def trust_step(
    followed: Float[Array, "b h w"],
    cues: Cues,
    consistency_pixels: float | Array,
    extent: Extent = None,
) -> Float[Array, "b h w"]:
    """How far motion has followed each pixel from the labelled frame, 0 … 1, one step further.

    A pixel that comes from outside the picture was lost. Flow that does not lead back, as where
    something hides another thing or comes out behind it, and another colour speak against it.

    Args:
      followed: of the source frame; 1 on the labelled frame.
      cues: of one step.
      consistency_pixels: forward-backward error from which flow does not lead back.
      extent: of the frames.
    """
    moved = warp(followed[..., None], cues.flow, extent)[0][..., 0]
    now = moved * cues.valid
    now = now * jnp.where(cues.consistency < consistency_pixels, 1.0, _DOUBTED)
    now = now * jnp.where(cues.photometric < _SAME_COLOUR, 1.0, _DOUBTED)
    return jnp.where(cues.active[:, None, None] > 0, now, followed)


def image_step(
    state: tuple[Array, Array], cues: Cues, extent: Extent = None, along: Array | None = None
) -> tuple[tuple[Array, Array], Array]:
    """Moves the labelled frame's image along with its labels: joint image-label propagation
    (Zhu et al., CVPR 2019, section 3.2), so that picture and label stay aligned.

    Args:
      state: the labelled frame's image ``[b, h, w, 3]``, and the flow into it; zero at first.
      cues: of one step.
      extent: of the frames.
      along: flow from the target frame into the labelled one, if labels have followed any; else
        composed flow is taken.

    Returns:
      The new state, and the image as the target frame shows it. It is sampled once, by the
      flow into the labelled frame, and so does not blur with distance.
    """
    key, before = state
    flow = compose_flow(cues.flow, before, extent)[0] if along is None else along
    flow = jnp.where(cues.active[:, None, None, None] > 0, flow, before)
    return (key, flow), warp(key, flow, extent)[0]
