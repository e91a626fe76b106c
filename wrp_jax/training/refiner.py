"""Stage "refiner": trains Ω from simulated clips, from cycles in time (the paper's), or both."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from wrp_jax.checkpoint import check_metadata, load_result, result_path, save_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.pipeline import make_batches
from wrp_jax.data.source import VideoSource
from wrp_jax.flow import build_motion
from wrp_jax.logging import Progress
from wrp_jax.models.motion import Motion
from wrp_jax.models.network import Network
from wrp_jax.models.refine import build_refiner
from wrp_jax.propagation.chains import long_flows
from wrp_jax.propagation.cues import segment_clip
from wrp_jax.propagation.hypotheses import candidates, frame_features
from wrp_jax.propagation.methods import mask_options
from wrp_jax.training.calibrate import measured_agreement
from wrp_jax.training.crops import Crop, chain_guesses, cut_crops, unpack
from wrp_jax.training.cycle import cycle_crops, cycles
from wrp_jax.training.loop import fit
from wrp_jax.training.omega import LabelCrop, label_crops, label_loss
from wrp_jax.training.segmentation import load_segmentation
from wrp_jax.training.simulated import (
    Segment,
    SimulatedClip,
    collect_pieces,
    measure_speeds,
    simulated_clips,
)
from wrp_jax.training.stages import run_metadata
from wrp_jax.training.state import (
    TrainState,
    apply_gradients,
    create_train_state,
    inference_variables,
)
from wrp_jax.types import ClassMap, UserError, Window

STAGE = "refiner"

_AGREED = 0.1  # loss weight of pixels on which all hypotheses agree


class Material(NamedTuple):
    """What examples are made of.

    Attributes:
      known: the labelled frames.
      source: the video.
      windows: what will be propagated.
      motion: f_θ.
      segment: g_ψ on uint8 frames.
      class_weights: loss weight per class index.
    """

    known: KnownLabels
    source: VideoSource
    windows: Sequence[Window]
    motion: Motion
    segment: Segment
    class_weights: np.ndarray


def frequency_weights(known: KnownLabels, power: float = 0.5) -> Float[np.ndarray, " c"]:
    """``frequency ** -power`` per class with a mean of one over labelled pixels.

    A class that covers less than a thousandth counts as if it covered that much.
    """
    counts = np.zeros(known.classes.num_classes)
    for item in known.items:
        label = item.label()
        counts += np.bincount(label[label >= 0].ravel(), minlength=len(counts))[: len(counts)]
    share = counts / max(counts.sum(), 1.0)
    weights = np.where(counts > 0, np.maximum(share, 1e-3) ** -power, 1.0)
    return (weights / max(float((weights * share).sum()), 1e-6)).astype(np.float32)


def _simulated(
    rng: np.random.Generator, material: Material, clips: int, *, every_frame: bool = False
) -> Iterator[SimulatedClip]:
    known, motion = material.known, material.motion
    progress = Progress("simulating clips", clips, 0)
    simulated = simulated_clips(
        rng,
        known,
        collect_pieces(known, rng),
        measure_speeds(material.source, material.windows, motion),
        motion,
        material.segment,
        count=clips,
        keys=[i for i, item in enumerate(known.items) if item.source is material.source],
        every_frame=every_frame,
        goals=measured_agreement(
            known, material.source, material.windows, motion, material.segment
        ),
    )
    for number, clip in enumerate(simulated):
        yield clip
        progress.update(number + 1)
    progress.close()


def simulated_examples(
    rng: np.random.Generator, material: Material, clips: int, crops: int
) -> Iterator[Crop]:
    """Crops from simulated clips.

    Args:
      rng: source of every random choice.
      material: see there.
      clips: number of clips.
      crops: crops per guessed frame.
    """
    for clip in _simulated(rng, material, clips):
        orders = np.arange(len(clip.frames))[None]
        steps = frozenset(clip.steps)
        long = long_flows(clip.frames, clip.cues, orders, material.motion, steps=steps)
        for step, active, hypotheses, _ in chain_guesses(
            clip.cues, long, orders, clip.labels[0], steps
        ):
            truth = clip.labels[step][None]
            yield from cut_crops(
                rng, hypotheses, truth, active, material.class_weights, count=crops
            )


def chooser_loss(network: Network, variables: Any, batch: Crop) -> Float[Array, ""]:
    """Cross entropy over a crop's candidates, weighted by class, mostly where guesses differ.

    Pixels whose truth no hypothesis votes for teach nothing and are left out.
    """
    hypotheses = unpack(batch.hypotheses)
    votes = hypotheses.votes
    logits, _ = network.apply(variables, votes, frame_features(hypotheses), train=True)
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


def make_optimizer(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """AdamW with clipped gradients under a one-cycle schedule."""
    schedule = optax.cosine_onecycle_schedule(max(steps, 2), learning_rate, pct_start=0.15)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-3))


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
      config: ``config.refiner``, ``config.motion`` and ``config.seed`` are read.
      known: the labelled frames; no other label is looked at.
      source: the video.
      windows: what will be propagated; their frames are looked at, their labels are not.
      workdir: of the run; holds the finished segmentation stage.

    Raises:
      UserError: an unknown source of examples, or nothing to learn from.
    """
    options = config.refiner
    segmenter, variables = load_segmentation(workdir, config, known.classes)
    material = Material(
        known=known,
        source=source,
        windows=windows,
        motion=build_motion(config.motion),
        segment=functools.partial(segment_clip, segmenter, variables),
        class_weights=frequency_weights(known),
    )
    optimizer = make_optimizer(options.learning_rate, options.steps)
    course = (_omega_course if options.name == "pix2pix" else _chooser_course)(
        config, material, optimizer
    )
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
    save_result(workdir, STAGE, inference_variables(state), metadata)


class _Course(NamedTuple):
    """What a refiner is trained with."""

    variables: Any
    examples: Sequence[Any]
    train_step: Any
    transform: Any


def _chooser_course(
    config: Config, material: Material, optimizer: optax.GradientTransformation
) -> _Course:
    network = build_refiner(config.refiner)
    examples = make_examples(config, material)
    first = unpack(jax.tree.map(lambda a: a[None], examples[0]).hypotheses)
    variables = network.init(jax.random.key(config.seed), first.votes, frame_features(first))
    return _Course(variables, examples, make_train_step(network, optimizer), mirror)


def _omega_course(
    config: Config, material: Material, optimizer: optax.GradientTransformation
) -> _Course:
    network = build_refiner(config.refiner)
    examples = make_label_examples(config, material)
    first = examples[0]
    variables = network.init(
        jax.random.key(config.seed),
        jnp.zeros((1, *first.labels.shape), jnp.float32),
        jnp.zeros((1, *first.features.shape), jnp.float32),
    )
    step = make_label_train_step(network, optimizer, jnp.asarray(material.class_weights))
    return _Course(variables, examples, step, None)


def make_label_train_step(
    network: Network, optimizer: optax.GradientTransformation, class_weights: Array
) -> Any:
    """Builds ``train_step(state, batch, key) -> (state, metrics)`` for the paper's Ω."""

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


def make_label_examples(config: Config, material: Material) -> list[LabelCrop]:
    """Examples for the paper's Ω, from the same sources as ``make_examples``."""
    options = config.refiner
    _check_source(options.source)
    rng = np.random.default_rng(config.seed)
    mask, carrier = mask_options(config.propagation), config.propagation.carrier
    examples: list[LabelCrop] = []
    if options.source != "cycle":
        for clip in _simulated(rng, material, options.clips, every_frame=True):
            labels = {step: clip.labels[step] for step in clip.steps}
            order = np.arange(len(clip.frames))[None]
            examples += label_crops(
                rng, clip.cues, order, labels, clip.labels[0], mask,
                carrier=carrier, count=options.crops,
            )  # fmt: skip
    if options.source != "simulated":
        for clip, out, truth in cycles(
            rng,
            material.known,
            material.source,
            material.windows,
            material.motion,
            material.segment,
            count=options.clips,
            max_length=options.max_cycle_length,
        ):
            order = np.concatenate([out, out[:, -2::-1]], axis=1)
            examples += label_crops(
                rng, clip, order, {order.shape[1] - 1: truth}, truth, mask,
                carrier=carrier, count=4 * options.crops,
            )  # fmt: skip
    if not examples:
        raise UserError(_NOTHING)
    return examples


def make_examples(config: Config, material: Material) -> list[Crop]:
    """All examples of a run, from ``config.refiner.source``: simulated, cycle or both.

    Raises:
      UserError: an unknown source, or no example came out.
    """
    options = config.refiner
    _check_source(options.source)
    rng = np.random.default_rng(config.seed)
    examples: list[Crop] = []
    if options.source != "cycle":
        examples += simulated_examples(rng, material, options.clips, options.crops)
    if options.source != "simulated":
        for clip, out, truth in cycles(
            rng,
            material.known,
            material.source,
            material.windows,
            material.motion,
            material.segment,
            count=options.clips,
            max_length=options.max_cycle_length,
        ):
            examples += cycle_crops(
                rng, clip, out, truth, material.motion, material.class_weights,
                crops=4 * options.crops,
            )  # fmt: skip
    if not examples:
        raise UserError(_NOTHING)
    return examples


_NOTHING = "There is nothing to train the refiner on: give windows of more than one frame."


def _check_source(source: str) -> None:
    if source not in ("simulated", "cycle", "both"):
        raise UserError(
            f"config.refiner.source={source!r} is unknown: use simulated, cycle or both."
        )


def load_refiner(
    workdir: str | os.PathLike, config: Config, classes: ClassMap
) -> tuple[Network, Any]:
    """Reads a trained Ω back: the network and its variables.

    Raises:
      UserError: not trained yet, a damaged file, or trained on other classes.
    """
    variables, metadata = load_result(workdir, STAGE)
    check_metadata(result_path(workdir, STAGE), metadata, {"classes": classes_to_json(classes)})
    return build_refiner(config.refiner), variables
