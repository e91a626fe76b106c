"""Training the paper's Ω on single steps: labels of Ψ^W in, true labels out (3.4).

``unrolled.py`` differentiates through the whole chain instead.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Float

from wrp_jax.config import Config
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.training.loop import TrainStep
from wrp_jax.training.refiner.examples.example_files import ExampleFiles
from wrp_jax.training.refiner.examples.generate import generate_examples
from wrp_jax.training.refiner.examples.training_data import TrainingData
from wrp_jax.training.refiner.pix2pix.label_crops import LabelCrop, label_examples
from wrp_jax.training.refiner.pix2pix.loss import label_loss
from wrp_jax.training.refiner.setup import TrainingSetup
from wrp_jax.training.state import TrainState, apply_gradients


def single_step_setup(
    config: Config,
    data: TrainingData,
    optimizer: optax.GradientTransformation,
    kept: ExampleFiles | None = None,
) -> TrainingSetup:
    """What the paper's Ω is trained with.

    Raises:
      UserError: no example came out.
    """
    network = build_refiner(config.refiner)
    generator = label_examples(config.propagation, config.refiner.crops)
    examples = generate_examples(config.refiner, config.seed, data, generator, kept)
    variables = network.init(
        jax.random.key(config.seed),
        jnp.zeros((1, *examples[0].labels.shape), jnp.float32),
        jnp.zeros((1, *examples[0].features.shape), jnp.float32),
    )
    step = make_train_step(network, optimizer, jnp.asarray(data.class_weights))
    return TrainingSetup(variables, examples, step)


def make_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    class_weights: Float[Array, " c"],
) -> TrainStep:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``."""

    def train_step(
        class_weights: Array, state: TrainState, batch: LabelCrop, key: Array
    ) -> tuple[TrainState, dict]:
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

    return Partial(train_step, class_weights)
