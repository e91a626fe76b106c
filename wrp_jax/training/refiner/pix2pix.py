"""Training the paper's Ω: labels of Ψ^W in, true labels out.

Noisy-clean pairs come from cycles in time, as in the paper (3.4), or from simulated clips.
``unrolled.py`` differentiates through the whole chain instead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from wrp_jax.config import Config, PropagationConfig
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.models.refine.pix2pix import STRIDE, on_code_grid
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.methods import mask_options
from wrp_jax.propagation.rollout import rollout
from wrp_jax.propagation.step import MaskOptions, make_step
from wrp_jax.training.refiner.cycle import Cycle
from wrp_jax.training.refiner.examples import Course, Maker, Material, make_examples
from wrp_jax.training.refiner.simulated import SimulatedClip
from wrp_jax.training.state import TrainState, apply_gradients
from wrp_jax.types import ClipCues, Cues

CROP = 96
"""Side of a crop in pixels: a multiple of ``STRIDE``."""

IGNORE = 255


class LabelCrop(NamedTuple):
    """One example, or a batch of them.

    Attributes:
      labels: uint8 ``[s, s, c]``, distribution of Ψ^W in 1/255.
      features: float16 ``[s / 8, s / 8, f]``, OCR features at the places of Ω's code.
      truth: uint8 ``[s, s]``, class indices or ``IGNORE``.
    """

    labels: Any
    features: Any
    truth: Any


def pix2pix_course(
    config: Config, material: Material, optimizer: optax.GradientTransformation
) -> Course:
    """What the paper's Ω is trained with.

    Raises:
      UserError: no example came out.
    """
    network = build_refiner(config.refiner)
    maker = label_maker(config.propagation, config.refiner.crops)
    examples = make_examples(config.refiner, config.seed, material, maker)
    variables = network.init(
        jax.random.key(config.seed),
        jnp.zeros((1, *examples[0].labels.shape), jnp.float32),
        jnp.zeros((1, *examples[0].features.shape), jnp.float32),
    )
    step = make_train_step(network, optimizer, jnp.asarray(material.class_weights))
    return Course(variables, examples, step)


def label_maker(config: PropagationConfig, crops: int) -> Maker:
    """Crops of labels; ``crops`` of them per guessed frame, four times as many per cycle."""
    cut = functools.partial(label_crops, mask=mask_options(config), carrier=config.carrier)

    def simulated(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[LabelCrop]:
        labels = {step: clip.labels[step] for step in clip.steps}
        order = np.arange(len(clip.frames))[None]
        return cut(rng, clip.cues, order, labels, clip.labels[0], count=crops)

    def cycle(rng: np.random.Generator, drawn: Cycle) -> Iterator[LabelCrop]:
        order, truth = there_and_back(drawn.out), drawn.truth
        return cut(rng, drawn.cues, order, {order.shape[1] - 1: truth}, truth, count=4 * crops)

    return Maker(simulated, cycle, every_frame=True)


def there_and_back(out: Int[np.ndarray, "1 frames"]) -> Int[np.ndarray, "1 steps"]:
    """Frames visited by a cycle, from those on its way out (eq. 9-12)."""
    return np.concatenate([out, out[:, -2::-1]], axis=1)


def make_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    class_weights: Float[Array, " c"],
) -> Any:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``."""

    def train_step(state: TrainState, batch: LabelCrop, key: Array) -> tuple[TrainState, dict]:
        del key  # all randomness is in the crops

        def loss(params: Any) -> tuple[Array, Any]:
            variables = {"params": params, "batch_stats": state.batch_stats}
            labels = batch.labels.astype(jnp.float32) / 255.0
            features = batch.features.astype(jnp.float32)
            logits, batch_stats = network.apply(variables, labels, features, train=True)
            return label_loss(logits, batch.truth.astype(jnp.int32), class_weights), batch_stats

        (value, batch_stats), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        state = apply_gradients(
            state, gradients, optimizer, batch_stats=batch_stats, ema_decay=0.98
        )
        return state, {"loss": value}

    return train_step


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
    probs = np.asarray(_inpaint(cues, jnp.asarray(key_label)[None], mask, num_classes, carrier))
    shape = key_label.shape
    for step, truth in labels.items():
        state = reach_crop(np.round(255 * probs[step - 1, 0]).astype(np.uint8), CROP)
        # Those of the whole picture, as where Ω is used: a crop's own would lie elsewhere.
        features = on_code_grid(jnp.asarray(clip.features[order[0, step]])[None], shape)[0]
        features = reach_crop(np.asarray(features).astype(np.float16), CROP // STRIDE)
        true = np.where((truth >= 0) & (truth < num_classes), truth, IGNORE).astype(np.uint8)
        true = reach_crop(true, CROP, IGNORE)
        for _ in range(count):
            part, place = draw_part(rng, shape, CROP)
            yield LabelCrop(state[part], features[place], true[part])


def reach_crop(array: np.ndarray, size: int, fill: int | None = None) -> np.ndarray:
    """Enlarges the two leading axes to ``size`` where they are shorter: mirrored, or filled."""
    pad = [(0, max(0, size - n)) for n in array.shape[:2]] + [(0, 0)] * (array.ndim - 2)
    if not any(after for _, after in pad):
        return array
    if fill is None:
        return np.pad(array, pad, mode="symmetric")
    return np.pad(array, pad, constant_values=fill)


def draw_part(
    rng: np.random.Generator, shape: tuple[int, ...], size: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Draws a crop that starts where a place of Ω's code starts.

    Args:
      rng: source of the position.
      shape: rows and columns of the picture.
      size: side of the crop.

    Returns:
      Rows and columns of the crop: of the picture, and of features on the code's grid.
    """
    start = [int(rng.integers(max(0, n - size) // STRIDE + 1)) for n in shape[:2]]
    y, x = (slice(STRIDE * s, STRIDE * s + size) for s in start)
    rows, columns = (slice(s, s + size // STRIDE) for s in start)
    return (y, x), (rows, columns)


def label_loss(
    logits: Float[Array, "b h w c"], truth: Int[Array, "b h w"], class_weights: Float[Array, " c"]
) -> Float[Array, ""]:
    """Class-weighted cross entropy; truth outside the classes is left out."""
    known = (truth >= 0) & (truth < logits.shape[-1])
    index = jnp.where(known, truth, 0)
    weight = class_weights[index] * known
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, index)
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), 1e-6)
