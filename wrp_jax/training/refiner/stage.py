"""Stage "refiner": trains Ω from simulated clips, from cycles in time (the paper's), or both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from wrp_jax.checkpoint import check_metadata, check_network, load_result, result_path, save_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.pipeline import make_batches
from wrp_jax.data.source import VideoSource
from wrp_jax.flow import build_motion
from wrp_jax.models.network import Network
from wrp_jax.models.refine import build_refiner
from wrp_jax.propagation.methods import check_options as check_propagation
from wrp_jax.training.loop import fit
from wrp_jax.training.motion.stage import STAGE as MOTION
from wrp_jax.training.motion.stage import motion_of
from wrp_jax.training.refiner.chooser import chooser_course, fits
from wrp_jax.training.refiner.examples import (
    Course,
    Material,
    check_refiner,
    gather_material,
)
from wrp_jax.training.refiner.pix2pix import pix2pix_course
from wrp_jax.training.refiner.unrolled import take_tau, unrolled_course
from wrp_jax.training.segmentation.segmenter import load_segmenter
from wrp_jax.training.stages import run_metadata
from wrp_jax.training.state import create_train_state, inference_variables
from wrp_jax.types import ClassMap, UserError, Window

STAGE = "refiner"


def check_options(config: Config) -> None:
    """Refuses what the stage does not know.

    Raises:
      UserError: there is no network, source of examples, carrier, mask or motion of that name, or
        options that exclude each other; a motion network without weights.
    """
    check_propagation(config.propagation)
    build_refiner(config.refiner)
    check_refiner(config.refiner)
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

    The examples are made first, from the seed alone: a run that starts again makes the same.

    Args:
      config: ``refiner``, ``propagation``, ``motion`` and ``seed`` are read.
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
    material = gather_material(known, source, windows, motion, segment)
    optimizer = make_optimizer(options.learning_rate, options.steps)
    course = make_course(config, material, optimizer)
    metadata = run_metadata(config, known)
    state = fit(
        name=STAGE,
        state=create_train_state(course.variables, optimizer, ema=True),
        train_step=course.train_step,
        batches=make_batches(
            course.examples,
            batch_size=options.batch_size,
            seed=config.seed,
            transform=course.transform,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        ),
        steps=options.steps,
        workdir=workdir,
        seed=config.seed,
        metadata=metadata,
    )
    save_result(workdir, STAGE, inference_variables(state) | dict(course.constants), metadata)


def make_course(
    config: Config, material: Material, optimizer: optax.GradientTransformation
) -> Course:
    """Network, examples and train step that ``config.refiner`` names.

    Raises:
      UserError: an unknown network or source of examples, or nothing to learn from.
    """
    if config.refiner.name != "pix2pix":
        return chooser_course(config, material, optimizer)
    if config.refiner.unrolled or config.refiner.learn_tau:
        return unrolled_course(config, material, optimizer)
    return pix2pix_course(config, material, optimizer)


def make_optimizer(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """AdamW with clipped gradients under a one-cycle schedule."""
    schedule = optax.cosine_onecycle_schedule(max(steps, 2), learning_rate, pct_start=0.15)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))


class TrainedRefiner(NamedTuple):
    """A trained Ω.

    Attributes:
      network: Ω.
      variables: its parameters and statistics.
      tau: τ of eq. 6 that was learnt along with it, or None.
      reliability: ``[classes, 2]``, of g_ψ where it was trained; None for the paper's Ω.
    """

    network: Network
    variables: Any
    tau: float | None = None
    reliability: np.ndarray | None = None


def load_refiner(workdir: str | os.PathLike, config: Config, classes: ClassMap) -> TrainedRefiner:
    """Reads a trained Ω back.

    Raises:
      UserError: not trained yet, a damaged file, trained on other classes or as another
        network, or a chooser of an earlier version.
    """
    variables, metadata = load_result(workdir, STAGE)
    path = result_path(workdir, STAGE)
    check_metadata(path, metadata, {"classes": classes_to_json(classes)})
    sizes = ("name", "width", "class_width", "class_convs")
    check_network(path, metadata, STAGE, config.refiner, sizes)
    params, log_tau = take_tau(variables["params"])
    tau = None if log_tau is None else float(np.exp(log_tau))
    expected = variables.pop("reliability", None)
    variables, network = {**variables, "params": params}, build_refiner(config.refiner)
    if config.refiner.name != "pix2pix" and (expected is None or not fits(network, variables)):
        raise UserError(
            f"{path} is of an earlier version, whose chooser was another network: delete it and "
            f"{os.path.join(workdir, 'checkpoints', STAGE)}, and run train.py again."
        )
    return TrainedRefiner(network, variables, tau, expected)
