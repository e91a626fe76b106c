"""All examples of a run, from simulated clips, from cycles in time (the paper's), or from both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import numpy as np

from wrp_jax.config import RefinerConfig
from wrp_jax.progress import Progress
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.refiner.examples.cycles import Cycle, draw_cycles
from wrp_jax.training.refiner.examples.example_files import ExampleFiles
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
      kind: of the examples: a ``NamedTuple`` of arrays, or of such tuples.
      from_clip: ``from_clip(rng, clip)``: examples of one simulated clip.
      from_cycle: ``from_cycle(rng, cycle)``: examples of one cycle.
      segment_every_frame: whether g_ψ must have seen every frame of a simulated clip.
    """

    kind: type[Example]
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
    options: RefinerConfig,
    seed: int,
    data: TrainingData,
    generator: ExampleGenerator[Example],
    kept: ExampleFiles | None = None,
) -> list[Example]:
    """All examples of a run, from ``options.source``; the seed alone decides which.

    Args:
      options: ``source``, ``clips``, ``jitter`` and those of cycles are read.
      seed: of every random choice.
      data: what examples are made of.
      generator: makes them of clips and cycles.
      kept: where they are kept as they are made, and found again by a run that was stopped; or
        None.

    Raises:
      UserError: see ``check_refiner_options``; or no example came out.
    """
    check_refiner_options(options)
    rng = np.random.default_rng(seed)
    makers: dict[str, Callable[[], list[Example]]] = {}
    if options.source != "cycle":
        makers["simulating clips"] = _of_clips(rng, data, options, generator)
    if options.source != "simulated":
        makers["running cycles"] = _of_cycles(rng, data, options, generator)
    examples: list[Example] = []
    for place, (name, make) in enumerate(makers.items()):
        with Progress(name, options.clips, 0) as progress:
            for number in range(options.clips):
                file = place * options.clips + number
                more = None if kept is None else kept.load(file, generator.kind, rng)
                if more is None:
                    more = make()
                    if kept is not None:
                        kept.add(file, more, rng)
                examples += more
                progress.update(number + 1)
    if not examples:
        raise UserError(
            "There is nothing to train the refiner on: give windows of more than one frame."
        )
    return examples


def _of_clips(
    rng: np.random.Generator,
    data: TrainingData,
    options: RefinerConfig,
    generator: ExampleGenerator[Example],
) -> Callable[[], list[Example]]:
    """Makes the examples of one more simulated clip at each call."""
    simulation = SimulationOptions(jitter=options.jitter)
    draw = clip_maker(rng, data, simulation, every_frame=generator.segment_every_frame)

    def make() -> list[Example]:
        return list(generator.from_clip(rng, draw()))

    return make


def clip_maker(
    rng: np.random.Generator,
    data: TrainingData,
    options: SimulationOptions,
    *,
    every_frame: bool = False,
) -> Callable[[], SimulatedClip]:
    """Makes one more simulated clip at each call.

    Args:
      rng: source of every random choice.
      data: what clips are made of.
      options: strengths of the simulation.
      every_frame: see ``simulated_clips``.
    """
    cutouts = collect_cutouts(data.known, rng)
    speeds = measure_speeds(data.source, data.windows, data.motion)
    own = [i for i, item in enumerate(data.known.items) if item.source is data.source]

    def make() -> SimulatedClip:
        clips = simulated_clips(
            rng,
            data.known,
            cutouts,
            speeds,
            data.motion,
            data.segment,
            count=1,
            keys=own,
            options=options,
            every_frame=every_frame,
            reliability=data.reliability,
        )
        return next(clips)

    return make


def _of_cycles(
    rng: np.random.Generator,
    data: TrainingData,
    options: RefinerConfig,
    generator: ExampleGenerator[Example],
) -> Callable[[], list[Example]]:
    """Makes the examples of one more cycle at each call; none where a window has no room."""

    def make() -> list[Example]:
        cycles = draw_cycles(
            rng,
            data.known,
            data.source,
            data.windows,
            data.motion,
            data.segment,
            count=1,
            max_length=options.max_cycle_length,
            reliability=data.reliability if options.calibrate_cycles else None,
            varied=options.vary_cycles,
        )
        return [example for cycle in cycles for example in generator.from_cycle(rng, cycle)]

    return make
