"""Examples and losses for the paper's Ω: labels of Ψ^W in, true labels out.

Noisy-clean pairs come from cycles in time, as in the paper (3.4), or from simulated clips. The
unrolled form puts Ω inside every step of the cycle (eq. 8) and differentiates through all of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from wrp_jax.models.network import Network
from wrp_jax.models.refine.pix2pix import refine_labels
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.rollout import rollout
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.types import ClipCues, Cues

CROP = 96
"""Side of a crop in pixels: a multiple of ``STRIDE``."""

STRIDE = 8
"""Pixels per OCR feature."""

IGNORE = 255


class LabelCrop(NamedTuple):
    """One example, or a batch of them.

    Attributes:
      labels: uint8 ``[s, s, c]``, distribution of Ψ^W in 1/255.
      features: float16 ``[s / 8, s / 8, f]``, OCR features.
      truth: uint8 ``[s, s]``, class indices or ``IGNORE``.
    """

    labels: Any
    features: Any
    truth: Any


@functools.partial(jax.jit, static_argnames=("mask", "num_classes", "carrier"))
def _inpaint(cues: Cues, label: Array, mask: MaskOptions, num_classes: int, carrier: str) -> Array:
    how = build_carrier(carrier, num_classes)
    step = make_step(how, mask)

    def probs_step(state: Any, now: Cues) -> tuple[Any, Array]:
        state, _ = step(state, now)
        return state, how.probs(state)

    return rollout(probs_step, how.init(label), cues)[1]


def label_crops(
    rng: np.random.Generator,
    clip: ClipCues,
    order: Int[np.ndarray, "1 steps"],
    labels: dict[int, np.ndarray],
    key_label: Int[np.ndarray, "h w"],
    mask: MaskOptions,
    *,
    carrier: str = "composed",
    count: int = 8,
) -> Iterator[LabelCrop]:
    """Runs Ψ^W along one chain and cuts crops at the steps whose truth is given.

    Args:
      rng: source of the positions.
      clip: cues, segmentation at every frame included.
      order: frames visited, the key frame first.
      labels: step (from 1) → true class indices ``[h, w]``.
      key_label: class indices of the key frame.
      mask: M of eq. 6.
      carrier: how labels are carried.
      count: crops per step.
    """
    num_classes = clip.probs.shape[-1]
    cues = chain_cues(clip, order)
    probs = np.asarray(_inpaint(cues, jnp.asarray(key_label)[None], mask, num_classes, carrier))
    height, width = key_label.shape
    pad = [(0, max(0, CROP - height)), (0, max(0, CROP - width))]
    for step, truth in labels.items():
        state = np.round(255 * probs[step - 1, 0]).astype(np.uint8)
        state = np.pad(state, [*pad, (0, 0)], mode="symmetric")
        features = np.asarray(clip.features[order[0, step]]).astype(np.float16)
        side = CROP // STRIDE
        short = [(0, max(0, side - n)) for n in features.shape[:2]]
        features = np.pad(features, [*short, (0, 0)], mode="edge")
        true = np.where((truth >= 0) & (truth < num_classes), truth, IGNORE).astype(np.uint8)
        true = np.pad(true, pad, constant_values=IGNORE)
        # Crops start where a feature starts.
        rows = min(state.shape[0] - CROP, (features.shape[0] - side) * STRIDE) // STRIDE
        columns = min(state.shape[1] - CROP, (features.shape[1] - side) * STRIDE) // STRIDE
        for _ in range(count):
            y, x = int(rng.integers(rows + 1)), int(rng.integers(columns + 1))
            part = slice(STRIDE * y, STRIDE * y + CROP), slice(STRIDE * x, STRIDE * x + CROP)
            yield LabelCrop(state[part], features[y : y + side, x : x + side], true[part])


def label_loss(
    logits: Float[Array, "b h w c"], truth: Int[Array, "b h w"], class_weights: Float[Array, " c"]
) -> Float[Array, ""]:
    """Class-weighted cross entropy; truth outside the classes is left out."""
    known = (truth >= 0) & (truth < logits.shape[-1])
    index = jnp.where(known, truth, 0)
    weight = class_weights[index] * known
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, index)
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), 1e-6)


def cycle_loss(
    network: Network,
    variables: Any,
    cues: Cues,
    label: Int[Array, "b h w"],
    mask: MaskOptions,
    class_weights: Float[Array, " c"],
    *,
    unrolled: bool = False,
    remat: bool = False,
    unroll: int | bool = 1,
) -> Float[Array, ""]:
    """The cycle-consistency loss ``ℓ(L_t, Ω(L_t°))`` (paper, 3.4).

    Args:
      network: Ω, run with its running statistics.
      variables: its parameters and statistics.
      cues: along ``t … t±l … t``.
      label: L_t.
      mask: M of eq. 6; with a ``softness`` above 0 τ receives a gradient.
      class_weights: of the cross entropy.
      unrolled: Ω inside every step (Ψ^R there and back) instead of once at the end; the
        gradient then passes through the whole chain.
      remat: recompute each step when differentiating instead of keeping its activations.
      unroll: steps per iteration of the scan; True unrolls it (faster gradients on a CPU).
    """
    num_classes = cues.probs.shape[-1]
    carrier = build_carrier("soft", num_classes, dtype=cues.probs.dtype)
    omega = functools.partial(refine_labels, network, variables)
    step = make_step(carrier, mask, omega if unrolled else None)
    state, _ = rollout(
        lambda state, now: (step(state, now)[0], None),
        carrier.init(label),
        cues,
        unroll=unroll,
        remat=remat,
    )
    probs = carrier.probs(state)
    if unrolled:
        logits = jnp.log(jnp.maximum(probs, 1e-6))
    else:
        logits = network.apply(variables, probs, cues.features[-1])
    return label_loss(logits, label, class_weights)
