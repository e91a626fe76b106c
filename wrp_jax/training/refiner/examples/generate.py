"""All examples of a run, from simulated clips, from cycles in time (the paper's), or from both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np

from wrp_jax.config import RefinerConfig
from wrp_jax.progress import Progress
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.refiner.examples.cycles import Cycle, draw_cycles
from wrp_jax.training.refiner.examples.simulated import (
    SimulatedClip,
    collect_cutouts,
    measure_speeds,
    simulated_clips,
)
from wrp_jax.training.refiner.examples.training_data import TrainingData
from wrp_jax.types import UserError

Example = TypeVar("Example")


@dataclasses.dataclass(frozen=True)
class ExampleGenerator(Generic[Example]):
    """How one refiner's examples are made.

    Attributes:
      from_clip: ``from_clip(rng, clip)``: examples of one simulated clip.
      from_cycle: ``from_cycle(rng, cycle)``: examples of one cycle.
      segment_every_frame: whether g_ψ must have seen every frame of a simulated clip.
    """

    from_clip: Callable[[np.random.Generator, SimulatedClip], Iterable[Example]]
    from_cycle: Callable[[np.random.Generator, Cycle], Iterable[Example]]
    segment_every_frame: bool = False


def check_refiner_options(options: RefinerConfig) -> None:
    """Raises ``UserError`` for an option that the network does not have."""
    for option in ("unrolled", "learn_tau"):
        if getattr(options, option) and options.name != "pix2pix":
            raise UserError(
                f"config.refiner.{option}=true is for the paper's refiner: give "
                "--config.refiner.name=pix2pix too."
            )


def generate_examples(
    options: RefinerConfig, seed: int, data: TrainingData, generator: ExampleGenerator[Example]
) -> list[Example]:
    """All examples of a run, from ``options.source``; the seed alone decides which.

    Args:
      options: ``source``, ``clips``, ``jitter`` and ``max_cycle_length`` are read.
      seed: of every random choice.
      data: what examples are made of.
      generator: makes them of clips and cycles.

    Raises:
      UserError: see ``check_refiner_options``; or no example came out.
    """
    check_refiner_options(options)
    rng = np.random.default_rng(seed)
    examples: list[Example] = []
    if options.source != "cycle":
        for clip in _simulated(rng, data, options, every_frame=generator.segment_every_frame):
            examples += generator.from_clip(rng, clip)
    if options.source != "simulated":
        for cycle in draw_cycles(
            rng,
            data.known,
            data.source,
            data.windows,
            data.motion,
            data.segment,
            count=options.clips,
            max_length=options.max_cycle_length,
        ):
            examples += generator.from_cycle(rng, cycle)
    if not examples:
        raise UserError(
            "There is nothing to train the refiner on: give windows of more than one frame."
        )
    return examples


def _simulated(
    rng: np.random.Generator, data: TrainingData, options: RefinerConfig, *, every_frame: bool
) -> Iterator[SimulatedClip]:
    known, motion = data.known, data.motion
    progress = Progress("simulating clips", options.clips, 0)
    simulated = simulated_clips(
        rng,
        known,
        collect_cutouts(known, rng),
        measure_speeds(data.source, data.windows, motion),
        motion,
        data.segment,
        count=options.clips,
        keys=[i for i, item in enumerate(known.items) if item.source is data.source],
        options=SimulationOptions(jitter=options.jitter),
        every_frame=every_frame,
        reliability=data.reliability,
    )
    for number, clip in enumerate(simulated):
        yield clip
        progress.update(number + 1)
    progress.close()
