"""What refiners are trained on: clips simulated from labelled frames, and cycles in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from wrp_jax.config import RefinerConfig
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.progress import Progress
from wrp_jax.simulation.clip import Simulation
from wrp_jax.training.refiner.calibrate import Measured, measure_reliability
from wrp_jax.training.refiner.cycle import Cycle, cycles
from wrp_jax.training.refiner.simulated import (
    SimulatedClip,
    collect_pieces,
    measure_speeds,
    simulated_clips,
)
from wrp_jax.types import Motion, Segment, UserError, Window


class Material(NamedTuple):
    """What examples are made of.

    Attributes:
      known: the labelled frames.
      source: the video.
      windows: what will be propagated.
      motion: f_θ.
      segment: g_ψ on uint8 frames.
      class_weights: loss weight per class index.
      measured: how reliable g_ψ is in the windows.
    """

    known: KnownLabels
    source: VideoSource
    windows: Sequence[Window]
    motion: Motion
    segment: Segment
    class_weights: np.ndarray
    measured: Measured


class Maker(NamedTuple):
    """How one refiner's examples are made.

    Attributes:
      simulated: ``simulated(rng, clip)``: examples of one simulated clip.
      cycle: ``cycle(rng, cycle)``: examples of one cycle.
      every_frame: whether g_ψ must have seen every frame of a simulated clip.
    """

    simulated: Callable[[np.random.Generator, SimulatedClip], Iterable[Any]]
    cycle: Callable[[np.random.Generator, Cycle], Iterable[Any]]
    every_frame: bool = False


class Course(NamedTuple):
    """What a refiner is trained with.

    Attributes:
      variables: before the first step: ``params`` and perhaps ``batch_stats``.
      examples: random access.
      train_step: for ``loop.fit``.
      transform: of an example, or None.
      constants: arrays that go with the trained variables.
    """

    variables: Any
    examples: Sequence[Any]
    train_step: Any
    transform: Any = None
    constants: Mapping[str, np.ndarray] = MappingProxyType({})


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


def gather_material(
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
) -> Material:
    """Material with class weights from the labels and reliabilities measured in the windows."""
    return Material(
        known=known,
        source=source,
        windows=windows,
        motion=motion,
        segment=segment,
        class_weights=frequency_weights(known),
        measured=measure_reliability(known, source, windows, motion, segment),
    )


def check_refiner(options: RefinerConfig) -> None:
    """Raises ``UserError`` for an option that the network does not have."""
    for option in ("unrolled", "learn_tau"):
        if getattr(options, option) and options.name != "pix2pix":
            raise UserError(
                f"config.refiner.{option}=true is for the paper's refiner: give "
                "--config.refiner.name=pix2pix too."
            )


def make_examples(options: RefinerConfig, seed: int, material: Material, maker: Maker) -> list[Any]:
    """All examples of a run, from ``options.source``; the seed alone decides which.

    Raises:
      UserError: see ``check_refiner``; or no example came out.
    """
    check_refiner(options)
    rng = np.random.default_rng(seed)
    examples: list[Any] = []
    if options.source != "cycle":
        for clip in _simulated(rng, material, options, every_frame=maker.every_frame):
            examples += maker.simulated(rng, clip)
    if options.source != "simulated":
        for cycle in cycles(
            rng,
            material.known,
            material.source,
            material.windows,
            material.motion,
            material.segment,
            count=options.clips,
            max_length=options.max_cycle_length,
        ):
            examples += maker.cycle(rng, cycle)
    if not examples:
        raise UserError(
            "There is nothing to train the refiner on: give windows of more than one frame."
        )
    return examples


def _simulated(
    rng: np.random.Generator, material: Material, options: RefinerConfig, *, every_frame: bool
) -> Iterator[SimulatedClip]:
    known, motion = material.known, material.motion
    progress = Progress("simulating clips", options.clips, 0)
    simulated = simulated_clips(
        rng,
        known,
        collect_pieces(known, rng),
        measure_speeds(material.source, material.windows, motion),
        motion,
        material.segment,
        count=options.clips,
        keys=[i for i, item in enumerate(known.items) if item.source is material.source],
        simulation=Simulation(jitter=options.jitter),
        every_frame=every_frame,
        measured=material.measured,
    )
    for number, clip in enumerate(simulated):
        yield clip
        progress.update(number + 1)
    progress.close()
