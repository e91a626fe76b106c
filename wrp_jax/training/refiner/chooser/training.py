"""Loss and train step of the chooser (``models/refine/chooser.py``)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from wrp_jax.config import Config
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.models.refine.chooser import CANDIDATE
from wrp_jax.propagation.chooser.network_inputs import chooser_inputs, init_chooser
from wrp_jax.training.loop import TrainStep
from wrp_jax.training.refiner.chooser.crops import ChooserCrop, mirror, unpack
from wrp_jax.training.refiner.chooser.examples import chooser_examples
from wrp_jax.training.refiner.examples.example_files import ExampleFiles
from wrp_jax.training.refiner.examples.generate import generate_examples
from wrp_jax.training.refiner.examples.training_data import TrainingData
from wrp_jax.training.refiner.setup import TrainingSetup
from wrp_jax.training.state import TrainState, apply_gradients

_AGREED = 0.1  # loss weight of pixels on which all hypotheses agree


def chooser_setup(
    config: Config,
    data: TrainingData,
    optimizer: optax.GradientTransformation,
    kept: ExampleFiles | None = None,
) -> TrainingSetup:
    """What the chooser is trained with.

    Raises:
      UserError: an option that it does not have, or no example came out.
    """
    network = build_refiner(config.refiner)
    generator = chooser_examples(data, config.refiner.crops)
    examples = generate_examples(config.refiner, config.seed, data, generator, kept)
    variables = init_chooser(network, jax.random.key(config.seed))
    step = make_train_step(network, optimizer)
    constants = {"reliability": data.reliability.overall}
    return TrainingSetup(variables, examples, step, mirror, constants)


def _inputs(batch: ChooserCrop) -> tuple[Array, Array, Array]:
    """What the network sees of a batch."""
    return chooser_inputs(unpack(batch.hypotheses), jnp.asarray(batch.reliability))


def chooser_loss(network: Network, variables: Any, batch: ChooserCrop) -> Float[Array, ""]:
    """Cross entropy over a crop's candidates, weighted by class, mostly where guesses differ.

    Pixels whose truth no hypothesis votes for teach nothing and are left out.
    """
    votes, *features = _inputs(batch)
    logits, _ = network.apply(variables, votes, *features, train=True)
    truth = jnp.maximum(batch.label.astype(jnp.int32), 0)[..., None]
    candidates = jnp.max(votes, axis=-2) > CANDIDATE
    reachable = jnp.take_along_axis(candidates, truth, axis=-1)[..., 0]
    weight = jnp.take_along_axis(batch.weight[:, None, None, :], truth, axis=-1)[..., 0]
    winner = jnp.argmax(votes, axis=-1)
    disputed = jnp.any(winner != winner[..., :1], axis=-1)
    weight = weight * jnp.where(disputed, 1.0, _AGREED) * reachable * (batch.label >= 0)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, truth[..., 0])
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), 1.0)


def make_train_step(network: Network, optimizer: optax.GradientTransformation) -> TrainStep:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``."""

    def train_step(state: TrainState, batch: ChooserCrop, key: Array) -> tuple[TrainState, dict]:
        del key  # all randomness is in the crops

        def loss(params: Any) -> Array:
            return chooser_loss(network, {"params": params}, batch)

        value, gradients = jax.value_and_grad(loss)(state.params)
        state = apply_gradients(state, gradients, optimizer, ema_decay=0.98)
        return state, {"loss": value}

    return train_step
