"""Stage "segmentation": trains g_ψ from scratch on the labelled frames alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.progress import waiting
from wrp_jax.runs.checkpoints import checkpoints_of, has_steps
from wrp_jax.runs.results import SEGMENTATION, save_result
from wrp_jax.runs.workdir import run_metadata
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.segmentation.inference import for_inference
from wrp_jax.segmentation.predictions import PRECOMPUTED, open_predictions
from wrp_jax.segmentation.temperature import KEY as TEMPERATURE
from wrp_jax.segmentation.temperature import measure_temperature
from wrp_jax.sharding import gather
from wrp_jax.training.accumulation import check_parts, gradient_in_parts
from wrp_jax.training.loop import TrainStep, fit
from wrp_jax.training.pipeline import make_batches
from wrp_jax.training.segmentation.crops import (
    CropBatch,
    CropDataset,
    FrameCache,
    build_crop_dataset,
    crops_of_epoch,
)
from wrp_jax.training.segmentation.losses import class_weights
from wrp_jax.training.segmentation.pretrained import initial_variables
from wrp_jax.training.segmentation.recipe import (
    Loss,
    epoch_steps,
    make_loss,
    make_optimizer,
    number_of_steps,
)
from wrp_jax.training.state import (
    TrainState,
    apply_gradients,
    create_train_state,
    inference_variables,
)
from wrp_jax.types import Window


def check_options(config: Config) -> None:
    """Refuses what the stage does not know.

    Raises:
      UserError: the network does not have an option that is given, or the batch does not divide
        into its parts.
    """
    options = config.segmentation
    if options.name == PRECOMPUTED:
        return
    build_segmentation(options, 2)
    check_parts(options.optimiser.batch_size, options.optimiser.accumulate)


def train_segmentation(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
    *,
    eval_fn: Callable[[TrainState], dict[str, float]] | None = None,
) -> None:
    """Trains g_ψ and writes ``workdir/segmentation.npz``; goes on where it was stopped.

    Of predictions that lie in files nothing is trained; they are checked.

    Args:
      config: ``segmentation``, ``seed``, ``sharding`` and ``workers`` are read.
      known: the labelled frames; no other label is looked at.
      source: the video; its labelled frames are drawn more often than stills, since it is its
        frames that g_ψ will have to label.
      windows: say which frames of ``source`` are labelled frames rather than stills.
      workdir: of the run.
      eval_fn: see ``loop.fit``; sees the state after each tenth of the steps.

    Raises:
      UserError: there is nothing to learn from.
    """
    options = config.segmentation
    if options.name == PRECOMPUTED:
        open_predictions(options.folder, source, windows)  # or the next stage would find out
        return
    dataset = build_crop_dataset(options, known, source, windows)
    train_network(SEGMENTATION, config, known, dataset, workdir, eval_fn=eval_fn)


def train_network(
    stage: str,
    config: Config,
    known: KnownLabels,
    dataset: CropDataset,
    workdir: str | os.PathLike,
    *,
    epoch: float = 1.0,
    start: Mapping[str, Any] | None = None,
    eval_fn: Callable[[TrainState], dict[str, float]] | None = None,
) -> None:
    """Trains the network of ``config.segmentation`` by its recipe; writes ``workdir/STAGE.npz``.

    Args:
      stage: names the result, checkpoints and lines of the log.
      config: ``segmentation``, ``seed``, ``sharding`` and ``workers`` are read.
      known: says whose run it is.
      dataset: where crops come from.
      workdir: of the run.
      epoch: crops of an epoch for each labelled frame.
      start: variables to begin with; those of ``pretrained.initial_variables`` if None.
      eval_fn: see ``loop.fit``.
    """
    options = config.segmentation
    recipe, crops = options.optimiser, crops_of_epoch(len(dataset.learnt), epoch)
    steps = number_of_steps(recipe, crops)
    network = build_for_classes(options, known.classes)
    optimizer = make_optimizer(recipe, steps, epoch_steps(recipe, crops))
    example = jnp.zeros((1, *dataset.sampler.crop, 3))
    if start is None:
        variables = initial_variables(
            network, options, known.classes, example, config.seed,
            begun=has_steps(checkpoints_of(workdir, stage)),
        )  # fmt: skip
    else:
        variables = {kind: start[kind] for kind in ("params", "batch_stats") if kind in start}
    metadata = run_metadata(config, known)
    weights = class_weights(jnp.asarray(dataset.expected_counts, jnp.float32))
    loss = make_loss(recipe, weights)
    state = fit(
        name=stage,
        state=create_train_state(variables, optimizer, ema=recipe.ema_decay > 0),
        train_step=make_train_step(
            network, optimizer, loss, ema_decay=recipe.ema_decay, accumulate=recipe.accumulate
        ),
        batches=make_batches(
            range(steps * recipe.batch_size if dataset.in_order else len(dataset.learnt)),
            batch_size=recipe.batch_size,
            seed=config.seed,
            transform=dataset.draw,
            shuffle=not dataset.in_order,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            workers=config.workers,
        ),
        steps=steps,
        workdir=workdir,
        seed=config.seed,
        metadata=metadata,
        sharding=config.sharding,
        eval_fn=eval_fn,
    )
    variables = gather(inference_variables(state))
    if dataset.held:
        unseen = FrameCache(dataset.held, known.classes, options.network.learn_void)
        asked = for_inference(network, options.inference)
        size = known.classes.num_classes
        with waiting(f"measuring how sure {stage} may be"):
            measured = measure_temperature(asked, variables, unseen, size, config.seed)
        variables[TEMPERATURE] = np.float32(measured)
    save_result(workdir, stage, variables, metadata)


def make_train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    *,
    ema_decay: float,
    accumulate: int = 1,
) -> TrainStep:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for ``loop.fit``.

    Args:
      network: segmentation network.
      optimizer: the one the state was made with.
      loss: of `make_loss`.
      ema_decay: of the moving average of the variables.
      accumulate: parts of the batch whose gradients are computed one after the other.
    """

    def train_step(
        loss: Loss, state: TrainState, batch: CropBatch, key: jax.Array
    ) -> tuple[TrainState, dict[str, Any]]:
        def objective(
            params: Any, batch_stats: Any, batch: CropBatch, key: Any
        ) -> tuple[jax.Array, Any]:
            variables = {"params": params, "batch_stats": batch_stats}
            images = batch.image.astype(jnp.float32) / 255.0
            output, batch_stats = network.apply(
                variables, images, train=True, rngs={"dropout": key}
            )
            return loss(output, batch.label.astype(jnp.int32)), batch_stats

        gradient = gradient_in_parts(objective, accumulate)
        (value, batch_stats), gradients = gradient(state.params, state.batch_stats, batch, key)
        state = apply_gradients(
            state, gradients, optimizer, batch_stats=batch_stats, ema_decay=ema_decay
        )
        return state, {"loss": value}

    return Partial(train_step, loss)
