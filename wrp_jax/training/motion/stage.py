"""Stage "motion": trains f_θ from true flow, or from the frames of a video alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

from wrp_jax.config import Config, MotionOptimiser
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.motion.build import ASSETS, NETWORKS, SDCNETS, guide_of
from wrp_jax.runs.results import MOTION, save_result
from wrp_jax.runs.workdir import run_metadata
from wrp_jax.sharding import gather
from wrp_jax.training.loop import fit
from wrp_jax.training.motion import losses as flow_losses
from wrp_jax.training.motion.examples import check_pair_options, pair_examples, video_examples
from wrp_jax.training.motion.networks import (
    Batch,
    Estimator,
    both_ways,
    build_estimator,
    check_trainable,
    pair_of,
)
from wrp_jax.training.pipeline import make_batches
from wrp_jax.training.state import (
    TrainState,
    apply_gradients,
    create_train_state,
    inference_variables,
)
from wrp_jax.types import UserError, Window
from wrp_jax.weights.load import load_weights
from wrp_jax.weights.safetensors_file import write_safetensors


def check_options(config: Config) -> None:
    """Refuses what the stage does not know.

    Raises:
      UserError: the network cannot be trained, or not by this loss; weights that cannot be read;
        what is to give the flows that the network reads has none.
    """
    options = config.motion_training.optimiser
    check_trainable(config.motion.name)
    if config.motion.name in SDCNETS and options.loss != "reconstruction":
        raise UserError(
            f"{config.motion.name} looks at 3 frames: train it with "
            "--config.motion_training.optimiser.loss=reconstruction."
        )
    check_pair_options(config.motion_training.sampling)
    if config.motion.weights:
        load_weights(config.motion.weights, config.motion.name)
    guide_of(config.motion)


def train_motion(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> None:
    """Trains f_θ and writes ``workdir/motion.npz``; goes on where it was stopped.

    The same weights stand in ``motion.safetensors``, for ``config.motion.weights``.

    Args:
      config: ``motion``, ``motion_training``, ``seed``, ``sharding`` and ``workers`` are read.
      known: labelled frames, which play no part; may be empty.
      source: the video, or a set of pairs with true flow.
      windows: play no part.
      workdir: of the run.

    Raises:
      UserError: the loss and the network do not fit, or the source lacks what they need.
    """
    del windows
    options = config.motion_training.optimiser
    estimator = build_estimator(config)
    examples = _examples(config, source, estimator)
    batches = make_batches(
        range(len(examples)),
        batch_size=options.batch_size,
        seed=config.seed,
        transform=examples.draw,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        workers=workers(config),
    )
    optimizer = make_optimizer(options)
    variables = initial_variables(config, estimator, examples.draw(0, np.random.default_rng(0)))
    metadata = run_metadata(config, known)
    state = fit(
        name=MOTION,
        state=create_train_state(variables, optimizer, ema=options.ema_decay > 0),
        train_step=make_train_step(estimator, optimizer, options),
        batches=batches,
        steps=options.steps,
        workdir=workdir,
        seed=config.seed,
        metadata=metadata,
        sharding=config.sharding,
    )
    variables = {n: tree for n, tree in gather(inference_variables(state)).items() if tree}
    if jax.process_index() == 0:
        arrays: Any = traverse_util.flatten_dict(variables, sep=".")
        names = {"network": config.motion.name, "format": "wrp_jax"}
        write_safetensors(Path(workdir) / f"{MOTION}.safetensors", arrays, names)
    save_result(workdir, MOTION, variables, metadata)


def initial_variables(config: Config, estimator: Estimator, example: dict[str, Any]) -> Any:
    """The weights of ``config.motion.weights``; without it the package's, or random ones.

    Args:
      config: ``config.motion``, ``config.motion_training.from_shipped`` and ``config.seed`` are
        read.
      estimator: the network.
      example: one, for its shapes.
    """
    weights, name = config.motion.weights, config.motion.name
    if not weights and config.motion_training.from_shipped:
        weights = ASSETS.get(name, "")
    if weights:
        return load_weights(weights, name)
    batch = jax.tree.map(lambda a: jnp.asarray(a)[None], example)
    return jax.jit(estimator.init)(jax.random.key(config.seed), batch)


def one_cycle(peak: float, steps: int) -> optax.Schedule:
    """PyTorch's linear ``OneCycleLR`` with RAFT's options: 5 % of ``steps + 100`` up from 1/25.

    Args:
      peak: learning rate at the top.
      steps: of the training.
    """
    total = steps + 100
    top = max(1, int(0.05 * total) - 1)
    return optax.piecewise_interpolate_schedule(
        "linear", peak / 25, {top: 25.0, total - 1: 1 / (25 * 1e4)}
    )


def make_optimizer(options: MotionOptimiser) -> optax.GradientTransformation:
    """AdamW with clipped gradients (RAFT), or the decay of SDC-Net's release."""
    if options.schedule == "one_cycle":
        schedule = one_cycle(options.learning_rate, options.steps)
    else:
        drops = {options.steps // 2: 0.1, options.steps * 9 // 10: 0.1}
        schedule = optax.piecewise_constant_schedule(options.learning_rate, drops)
    clip = optax.clip_by_global_norm(options.clip) if options.clip else optax.identity()
    return optax.chain(clip, optax.adamw(schedule, weight_decay=options.weight_decay))


def make_train_step(
    estimator: Estimator, optimizer: optax.GradientTransformation, options: MotionOptimiser
) -> Any:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``."""
    measure = loss_function(estimator, options)

    def train_step(
        state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[TrainState, dict[str, Any]]:
        del key  # all randomness is in the examples

        def loss(params: Any) -> tuple[jax.Array, Any]:
            return measure({"params": params, "batch_stats": state.batch_stats}, batch)

        gradients, (batch_stats, metrics) = jax.grad(loss, has_aux=True)(state.params)
        state = apply_gradients(
            state,
            gradients,
            optimizer,
            batch_stats=batch_stats,
            ema_decay=options.ema_decay,
        )
        return state, metrics

    return train_step


def loss_function(
    estimator: Estimator, options: MotionOptimiser
) -> Callable[[Any, Batch], tuple[jax.Array, tuple[Any, dict[str, Any]]]]:
    """``measure(variables, batch) -> (loss, (batch_stats, metrics))`` of ``options.loss``."""

    def sequence(variables: Any, batch: Batch):
        flows, batch_stats = estimator.flows(variables, batch, True)
        truth, valid = batch["flow"], batch["valid"]
        loss = flow_losses.sequence_loss(flows, truth, valid, gamma=options.gamma)
        errors = flow_losses.end_point_errors(flows[-1], truth, valid)
        metrics = {
            "loss": loss,
            "epe": (errors.distance, errors.count),
            "over_3px": (errors.far, errors.count),
        }
        return loss, (batch_stats, metrics)

    def reconstruction(variables: Any, batch: Batch):
        flows, batch_stats = estimator.flows(variables, batch, True)
        target, source = pair_of(batch)
        loss = weighted(flows, lambda flow: flow_losses.reconstruction_loss(target, source, flow))
        return loss, (batch_stats, {"loss": loss})

    def unsupervised(variables: Any, batch: Batch):
        batch = both_ways(batch)
        flows, batch_stats = estimator.flows(variables, batch, True)
        target, source = pair_of(batch)
        best = flows[-1]
        seen = flow_losses.visible(best, jnp.roll(best, len(best) // 2, axis=0))
        loss = weighted(
            flows,
            lambda flow: flow_losses.unsupervised_loss(
                target, source, flow, seen,
                smoothness=options.smoothness, order=options.smoothness_order,
            ),
        )  # fmt: skip
        return loss, (batch_stats, {"loss": loss, "seen": seen.mean()})

    def weighted(flows: Any, loss: Callable[[jax.Array], jax.Array]) -> jax.Array:
        parts = [options.gamma ** (len(flows) - 1 - i) * loss(f) for i, f in enumerate(flows)]
        return jnp.sum(jnp.stack(parts))

    return {
        "sequence": sequence,
        "reconstruction": reconstruction,
        "unsupervised": unsupervised,
    }[options.loss]


def workers(config: Config) -> int:
    """``config.workers``, or none where a network gives the flows that examples hold.

    It stays in the process that has the accelerator.
    """
    return 0 if config.motion.name in SDCNETS and config.motion.flow in NETWORKS else config.workers


def _examples(config: Config, source: VideoSource, estimator: Estimator) -> Any:
    guide = guide_of(config.motion)
    if config.motion_training.optimiser.loss == "sequence":
        return pair_examples(config, source, estimator.multiple, guide)
    return video_examples(config, source, estimator.frames, estimator.multiple, guide)
