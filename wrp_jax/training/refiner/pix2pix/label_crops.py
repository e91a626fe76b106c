"""Examples of a single step: labels of Ψ^W with the true labels, in crops.

Noisy-clean pairs come from cycles in time, as in the paper (3.4), or from simulated clips.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float16, Int, UInt8

from wrp_jax.config import PropagationConfig
from wrp_jax.models.refine.pix2pix import STRIDE, on_code_grid
from wrp_jax.propagation.along_chains import mask_options
from wrp_jax.propagation.carriers import ANCHORED, build_carrier
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.rollout import rollout
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.training.refiner.examples.cycles import Cycle
from wrp_jax.training.refiner.examples.generate import ExampleGenerator
from wrp_jax.training.refiner.examples.simulated import SimulatedClip
from wrp_jax.training.refiner.padding import pad_to_size
from wrp_jax.training.refiner.pix2pix.alignment import draw_aligned_crop
from wrp_jax.training.refiner.pix2pix.loss import IGNORE, stored_labels
from wrp_jax.types import ClipCues, Cues

CROP = 96
"""Side of a crop in pixels: a multiple of ``STRIDE``."""


class LabelCrop(NamedTuple):
    """One example, or a batch of them.

    ``s`` is ``CROP``, ``k`` is ``CROP / STRIDE``; a batch has an axis in front.

    Attributes:
      labels: distribution of Ψ^W in 1/255.
      features: OCR features at the places of Ω's code.
      truth: class indices or ``IGNORE``.
    """

    labels: UInt8[Any, "*batch s s c"]
    features: Float16[Any, "*batch k k f"]
    truth: UInt8[Any, "*batch s s"]


def label_examples(config: PropagationConfig, crops: int) -> ExampleGenerator[LabelCrop]:
    """Crops of labels; ``crops`` of them per guessed frame, four times as many per cycle."""
    # On the way back of a cycle, flow straight into the labelled frame would skip the cycle.
    carrier = "composed" if config.carrier == ANCHORED else config.carrier
    cut = functools.partial(label_crops, mask=mask_options(config), carrier=carrier)

    def from_clip(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[LabelCrop]:
        labels = {step: clip.labels[step] for step in clip.steps}
        order = np.arange(len(clip.frames))[None]
        return cut(rng, clip.cues, order, labels, clip.labels[0], count=crops)

    def from_cycle(rng: np.random.Generator, cycle: Cycle) -> Iterator[LabelCrop]:
        labels = {2 * cycle.length: cycle.truth}
        return cut(rng, cycle.cues, cycle.order, labels, cycle.truth, count=4 * crops)

    return ExampleGenerator(LabelCrop, from_clip, from_cycle, segment_every_frame=True)


@functools.partial(jax.jit, static_argnames=("mask", "num_classes", "carrier"))
def _warp_inpaint(
    cues: Cues, label: Int[Array, "1 h w"], mask: MaskOptions, num_classes: int, carrier: str
) -> Float[Array, "t 1 h w c"]:
    """Label distributions of Ψ^W after every step."""
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
    labels: Mapping[int, np.ndarray],
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
    probs = np.asarray(
        _warp_inpaint(cues, jnp.asarray(key_label)[None], mask, num_classes, carrier)
    )
    shape = key_label.shape
    for step, truth in labels.items():
        state = pad_to_size(np.round(255 * probs[step - 1, 0]).astype(np.uint8), CROP)
        # Those of the whole picture, as where Ω is used: a crop's own would lie elsewhere.
        features = on_code_grid(jnp.asarray(clip.features[order[0, step]])[None], shape)[0]
        features = pad_to_size(np.asarray(features).astype(np.float16), CROP // STRIDE)
        true = pad_to_size(stored_labels(truth, num_classes), CROP, IGNORE)
        for _ in range(count):
            part, place = draw_aligned_crop(rng, shape, CROP)
            yield LabelCrop(state[part], features[place], true[part])
