"""Examples, loss and step for the chooser (``models/refine/chooser.py``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from wrp_jax.config import Config
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.propagation.chooser.agreement import AHEAD, reliability_of
from wrp_jax.propagation.chooser.chains import long_flows
from wrp_jax.propagation.chooser.hypotheses import (
    candidates,
)
from wrp_jax.propagation.chooser.network_inputs import chooser_inputs, init_chooser
from wrp_jax.propagation.window_cues import HeldCues
from wrp_jax.training.refiner.crops import Crop, chain_moments, cut_crops, unpack
from wrp_jax.training.refiner.cycle import Cycle, cycle_crops
from wrp_jax.training.refiner.examples import Course, Maker, Material, make_examples
from wrp_jax.training.refiner.simulated import SimulatedClip
from wrp_jax.training.state import TrainState, apply_gradients
from wrp_jax.types import clip_of

_AGREED = 0.1  # loss weight of pixels on which all hypotheses agree


def chooser_course(
    config: Config, material: Material, optimizer: optax.GradientTransformation
) -> Course:
    """What the chooser is trained with.

    Raises:
      UserError: an option that it does not have, or no example came out.
    """
    network = build_refiner(config.refiner)
    maker = chooser_maker(material, config.refiner.crops)
    examples = make_examples(config.refiner, config.seed, material, maker)
    variables = init_chooser(network, jax.random.key(config.seed))
    step = make_train_step(network, optimizer)
    return Course(variables, examples, step, mirror, {"reliability": material.measured.overall})


def _inputs(batch: Crop) -> tuple[Array, Array, Array]:
    """What the network sees of a batch."""
    return chooser_inputs(unpack(batch.hypotheses), jnp.asarray(batch.reliability))


def chooser_maker(material: Material, crops: int) -> Maker:
    """Crops of hypotheses; ``crops`` of them per guessed frame, four times as many per cycle."""
    motion, weights = material.motion, material.class_weights
    expected = material.measured.overall

    def simulated(rng: np.random.Generator, clip: SimulatedClip) -> Iterator[Crop]:
        orders = np.arange(len(clip.frames))[None]
        steps = frozenset(clip.steps)
        # At one of the few frames that g_ψ was run on, about as far as windows are measured.
        ahead = max((t for t in clip.steps if t <= AHEAD + 1), default=0)
        trust = reliability_of(HeldCues(clip.cues), 0, clip.labels[0], expected, ahead)
        long = long_flows(clip_of(clip.frames), clip.cues, orders, motion, steps=steps)
        for moment in chain_moments(clip.cues, long, orders, clip.labels[0], steps):
            truth = clip.labels[moment.step]
            yield from cut_crops(rng, moment, truth, weights, trust, count=crops)

    def cycle(rng: np.random.Generator, drawn: Cycle) -> Iterator[Crop]:
        return cycle_crops(rng, drawn, motion, weights, expected, crops=4 * crops)

    return Maker(simulated, cycle)


def chooser_loss(network: Network, variables: Any, batch: Crop) -> Float[Array, ""]:
    """Cross entropy over a crop's candidates, weighted by class, mostly where guesses differ.

    Pixels whose truth no hypothesis votes for teach nothing and are left out.
    """
    votes, *features = _inputs(batch)
    logits, _ = network.apply(variables, votes, *features, train=True)
    truth = jnp.maximum(batch.label.astype(jnp.int32), 0)[..., None]
    reachable = jnp.take_along_axis(candidates(votes), truth, axis=-1)[..., 0]
    weight = jnp.take_along_axis(batch.weight[:, None, None, :], truth, axis=-1)[..., 0]
    winner = jnp.argmax(votes, axis=-1)
    disputed = jnp.any(winner != winner[..., :1], axis=-1)
    weight = weight * jnp.where(disputed, 1.0, _AGREED) * reachable * (batch.label >= 0)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, truth[..., 0])
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), 1.0)


def make_train_step(network: Network, optimizer: optax.GradientTransformation) -> Any:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``."""

    def train_step(state: TrainState, batch: Crop, key: Array) -> tuple[TrainState, dict]:
        del key  # all randomness is in the crops

        def loss(params: Any) -> Array:
            return chooser_loss(network, {"params": params}, batch)

        value, gradients = jax.value_and_grad(loss)(state.params)
        state = apply_gradients(state, gradients, optimizer, ema_decay=0.98)
        return state, {"loss": value}

    return train_step


def mirror(crop: Crop, rng: np.random.Generator) -> Crop:
    """Flips a crop left to right half of the time; no feature has a direction."""
    if rng.uniform() < 0.5:
        return crop
    h = crop.hypotheses
    flipped = {
        name: np.ascontiguousarray(getattr(h, name)[:, ::-1])
        for name in h._fields
        if name != "distance"
    }
    return crop._replace(
        hypotheses=h._replace(**flipped), label=np.ascontiguousarray(crop.label[:, ::-1])
    )
