"""Examples of the unrolled training: whole chains of cues, cut out of the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from wrp_jax.models.refine.pix2pix import STRIDE, on_code_grid
from wrp_jax.propagation.cues import ChainInputs, derive, lay_out
from wrp_jax.training.refiner.examples.cycles import Cycle
from wrp_jax.training.refiner.examples.generate import ExampleGenerator
from wrp_jax.training.refiner.examples.simulated import SimulatedClip
from wrp_jax.training.refiner.padding import pad_to_size
from wrp_jax.training.refiner.pix2pix.alignment import draw_aligned_crop
from wrp_jax.training.refiner.pix2pix.loss import IGNORE, stored_labels
from wrp_jax.types import ClipCues, Cues

CROP = 64
"""Side of a crop in pixels. What leaves it counts as having left the picture."""


class ChainCrop(NamedTuple):
    """One example, or a batch of them, batch in front: a chain of T steps over small pictures.

    ``s`` is ``CROP``.

    Attributes:
      chain: ``cues.ChainInputs`` of one chain without its axis b; probabilities in 1/255, flows
        and features in half precision.
      label: class indices of the frame where the chain starts, or ``IGNORE``.
      truth: class indices of the frame where it ends, or ``IGNORE``.
    """

    chain: ChainInputs
    label: UInt8[Any, "*batch s s"]
    truth: UInt8[Any, "*batch s s"]


def chain_examples(crops: int, steps: int) -> ExampleGenerator[ChainCrop]:
    """Crops of chains of at most ``steps`` steps: whole cycles, or simulated clips up to there.

    A cycle gives ``crops`` of them, and so does a simulated clip.
    """

    def from_clip(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[ChainCrop]:
        last = min(steps, len(clip.frames) - 1)
        for _ in range(crops):
            end = int(rng.integers(1, last + 1))
            order = np.arange(end + 1)[None]
            ends = clip.labels[0], clip.labels[end]
            yield from chain_crops(rng, clip.cues, order, *ends, steps=steps, count=1)

    def from_cycle(rng: np.random.Generator, cycle: Cycle) -> Iterator[ChainCrop]:
        ends = cycle.truth, cycle.truth
        return chain_crops(rng, cycle.cues, cycle.order, *ends, steps=steps, count=crops)

    return ExampleGenerator(ChainCrop, from_clip, from_cycle, segment_every_frame=True)


def chain_crops(
    rng: np.random.Generator,
    clip: ClipCues,
    order: Int[np.ndarray, "1 frames"],
    label: Int[np.ndarray, "h w"],
    truth: Int[np.ndarray, "h w"],
    *,
    steps: int,
    count: int,
) -> Iterator[ChainCrop]:
    """Cuts a chain out of the pictures.

    Args:
      rng: source of the positions.
      clip: cues, segmentation at every frame included; host arrays.
      order: frames visited.
      label: class indices of the first of them.
      truth: class indices of the last.
      steps: the chain is padded to so many, and stands still there.
      count: how many crops.
    """
    padding = np.repeat(order[:, -1:], steps + 1 - order.shape[1], axis=1)
    order = np.concatenate([order, padding], axis=1)
    num_classes = clip.probs.shape[-1]

    def pad_label(labels: np.ndarray) -> np.ndarray:
        return pad_to_size(stored_labels(labels, num_classes), CROP, IGNORE)

    def pad(array: np.ndarray, size: int) -> np.ndarray:
        return np.moveaxis(pad_to_size(np.moveaxis(np.asarray(array), 0, 2), size), 2, 0)

    features = on_code_grid(jnp.asarray(clip.features), clip.frames.shape[1:3])
    whole = ClipCues(
        frames=pad(clip.frames, CROP),
        flow_backward=pad(clip.flow_backward, CROP),
        flow_forward=pad(clip.flow_forward, CROP),
        probs=pad(clip.probs, CROP),
        features=pad(np.asarray(features), CROP // STRIDE),
    )
    label, truth = pad_label(label), pad_label(truth)
    for _ in range(count):
        part, place = draw_aligned_crop(rng, whole.frames.shape[1:], CROP)
        cut = jax.tree.map(lambda a, part=part: a[:, *part], whole)
        cut = cut._replace(features=whole.features[:, *place])
        chain = jax.tree.map(lambda a: a[:, 0], lay_out(cut, order))
        chain = chain._replace(
            flow=chain.flow.astype(np.float16),
            reverse=chain.reverse.astype(np.float16),
            probs=np.round(255 * chain.probs).astype(np.uint8),
            features=chain.features.astype(np.float16),
        )
        yield ChainCrop(chain, label[part], truth[part])


def unpack_chain(chain: ChainInputs) -> Cues:
    """Cues of a batch of ``ChainCrop.chain``, time in front, inside jit."""
    chain = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), chain)
    numbers = jax.tree.map(lambda a: a.astype(jnp.float32), chain)
    return derive(numbers._replace(frames=chain.frames, probs=numbers.probs / 255.0))
