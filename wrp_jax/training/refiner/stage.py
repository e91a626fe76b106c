"""Stage "refiner": trains Ω from simulated clips, from cycles in time (the paper's), or both."""

from __future__ import annotations

import os
from collections.abc import Sequence

import jax
import optax

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.motion.build import build_motion
from wrp_jax.runs.motion import motion_of
from wrp_jax.runs.results import MOTION, REFINER, save_result
from wrp_jax.runs.segmentation import load_segmenter
from wrp_jax.runs.workdir import run_metadata
from wrp_jax.sharding import gather
from wrp_jax.training.loop import fit
from wrp_jax.training.pipeline import make_batches
from wrp_jax.training.refiner.chooser.training import chooser_setup
from wrp_jax.training.refiner.examples.example_files import ExampleFiles, examples_folder
from wrp_jax.training.refiner.examples.generate import check_refiner_options
from wrp_jax.training.refiner.examples.training_data import TrainingData, gather_training_data
from wrp_jax.training.refiner.pix2pix.single_step import single_step_setup
from wrp_jax.training.refiner.pix2pix.unrolled import unrolled_setup
from wrp_jax.training.refiner.setup import TrainingSetup
from wrp_jax.training.state import create_train_state, inference_variables
from wrp_jax.types import Window


def check_options(config: Config) -> None:
    """Refuses what the stage does not know.

    Raises:
      UserError: options that exclude each other, or a motion network without weights.
    """
    build_refiner(config.refiner)
    check_refiner_options(config.refiner)
    if MOTION not in config.stages:  # else its weights are yet to come
        build_motion(config.motion)


def train_refiner(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> None:
    """Trains Ω and writes ``workdir/refiner.npz``; goes on where it was stopped.

    The examples are made first, from the seed alone, and kept until the stage is finished: a run
    that starts again reads those that are there, and makes the same of the others.

    Args:
      config: ``refiner``, ``propagation``, ``motion``, ``seed`` and ``sharding`` are read.
      known: the labelled frames; no other label is looked at.
      source: the video.
      windows: what will be propagated; their frames are looked at, their labels are not.
      workdir: of the run; holds the finished segmentation stage.

    Raises:
      UserError: an unknown source of examples, or nothing to learn from.
    """
    options = config.refiner
    motion = motion_of(config, workdir)
    segment = load_segmenter(workdir, config, source, windows, known)
    data = gather_training_data(known, source, windows, motion, segment)
    optimizer = make_optimizer(options.learning_rate, options.steps)
    metadata = run_metadata(config, known)
    # What was measured of g_ψ and f_θ stands for their weights.
    measured = [data.class_weights, *data.reliability]
    made_from = [metadata, *(window.identity for window in windows), measured]
    kept = ExampleFiles(examples_folder(workdir, REFINER), made_from)
    setup = make_setup(config, data, optimizer, kept)
    state = fit(
        name=REFINER,
        state=create_train_state(setup.variables, optimizer, ema=True),
        train_step=setup.train_step,
        batches=make_batches(
            setup.examples,
            batch_size=options.batch_size,
            seed=config.seed,
            transform=setup.transform,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        ),
        steps=options.steps,
        workdir=workdir,
        seed=config.seed,
        metadata=metadata,
        sharding=config.sharding,
    )
    variables = gather(inference_variables(state)) | dict(setup.constants)
    save_result(workdir, REFINER, variables, metadata)
    kept.remove()


def make_setup(
    config: Config,
    data: TrainingData,
    optimizer: optax.GradientTransformation,
    kept: ExampleFiles | None = None,
) -> TrainingSetup:
    """Network, examples and train step that ``config.refiner`` names.

    Args:
      config: ``refiner``, ``propagation`` and ``seed`` are read.
      data: what examples are made of.
      optimizer: of the train step.
      kept: see ``generate_examples``.

    Raises:
      UserError: an unknown network or source of examples, or nothing to learn from.
    """
    if config.refiner.name != "pix2pix":
        return chooser_setup(config, data, optimizer, kept)
    if config.refiner.unrolled or config.refiner.learn_tau:
        return unrolled_setup(config, data, optimizer, kept)
    return single_step_setup(config, data, optimizer, kept)


def make_optimizer(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """AdamW with clipped gradients under a one-cycle schedule."""
    schedule = optax.cosine_onecycle_schedule(max(steps, 2), learning_rate, pct_start=0.15)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))
