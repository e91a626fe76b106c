"""How long a training will take, told before its first step.

The arithmetic of a step is counted in the program of its network, which need not be compiled for
that, and divided by a stored speed; what a simulated clip takes goes with its pixels. Both were
measured on a server's processor, in seconds of one core. Accelerators differ too much for a stored
speed: nothing is told there, nor of stages that the default config does not have.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from wrp_jax.config import Config, RefinerConfig, SegmentationConfig
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, frame_size
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.progress import duration, on_all_cores
from wrp_jax.propagation.chooser.network_inputs import blank_inputs, init_chooser
from wrp_jax.runs.results import REFINER, SEGMENTATION, result_path
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.segmentation.predictions import PRECOMPUTED
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.refiner.chooser.crops import CANDIDATES, CROP
from wrp_jax.training.segmentation.recipe import number_of_steps
from wrp_jax.types import ClassMap, Window

FLOPS = 25e9
"""Floating-point operations per second that a step of training gets out of one core."""
CLIP = 3.3e-6
"""Seconds of one core for a pixel of a frame of a simulated clip: drawn, its motion, its crops."""
COMPILING = 20.0
"""Seconds for the programs of a stage."""
_MANY = 50
"""Steps; counting the arithmetic of fewer takes as long as some of them."""
_WITH_GRADIENTS = 3  # times the arithmetic of a forward pass


def foretell(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> str:
    """One sentence on the time of the stages that begin anew; empty where it is short or not known.

    Args:
      config: all options.
      known: the labelled frames.
      source: the video.
      windows: what will be labelled.
      workdir: of the run; what has been trained there, or begun, is left out.
    """

    def is_new(stage: str) -> bool:
        begun = Path(workdir) / "checkpoints" / stage
        return not result_path(workdir, stage).exists() and not begun.exists()

    new = [stage for stage in config.stages if is_new(stage)]
    steps = {
        SEGMENTATION: number_of_steps(config.segmentation.optimiser, len(known.items)),
        REFINER: config.refiner.steps,
    }
    if not windows or max((steps.get(stage, 0) for stage in new), default=0) < _MANY:
        return ""
    size = frame_size(source, windows[0].sequence, windows[0].key)
    seconds = stage_seconds(config, new, known.classes, size, len(known.items))
    if seconds is None:
        return ""
    whole = duration(sum(seconds.values()))
    parts = ", ".join(f"{stage} {duration(each)}" for stage, each in seconds.items())
    return (
        f"training takes about {whole} where nothing else runs ({parts}), which is known better "
        "after the first steps of each"
    )


def stage_seconds(
    config: Config,
    stages: Sequence[str],
    classes: ClassMap,
    size: tuple[int, int],
    labelled: int,
) -> dict[str, float] | None:
    """Seconds that each stage takes on the cores of this machine; None where that is not known.

    Args:
      config: all options.
      stages: names of stages.
      classes: of the labels.
      size: height and width of the frames.
      labelled: how many frames are labelled.
    """
    makers: dict[str, Callable[[], float | None]] = {
        SEGMENTATION: lambda: segmentation_seconds(config.segmentation, classes, labelled),
        REFINER: lambda: refiner_seconds(config.refiner, size),
    }
    if jax.default_backend() != "cpu":
        return None
    found: dict[str, float] = {}
    for stage in stages:
        seconds = makers[stage]() if stage in makers else None
        if seconds is None:
            return None
        found[stage] = COMPILING + on_all_cores(seconds) if seconds else 0.0
    return found


def segmentation_seconds(
    options: SegmentationConfig, classes: ClassMap, labelled: int
) -> float | None:
    """Seconds of one core for the steps of the segmentation; 0 for predictions out of files."""
    if options.name == PRECOMPUTED:
        return 0.0
    image = jax.ShapeDtypeStruct((1, *options.sampling.crop, 3), jnp.float32)
    network = build_for_classes(options, classes)
    variables = jax.eval_shape(network.init, jax.random.key(0), image)
    steps = number_of_steps(options.optimiser, labelled)
    each = forward_flops(network, variables, image) * options.optimiser.batch_size
    return steps * each * _WITH_GRADIENTS / FLOPS


def refiner_seconds(options: RefinerConfig, size: tuple[int, int]) -> float | None:
    """Seconds of one core for the simulated clips and the steps of the chooser.

    None for the paper's refiner and for cycles, whose time goes with the windows.

    Args:
      options: of the refiner.
      size: height and width of the frames.
    """
    if options.name != "chooser" or options.source != "simulated":
        return None
    network = build_refiner(options)
    variables = jax.eval_shape(functools.partial(init_chooser, network), jax.random.key(0))
    inputs = jax.eval_shape(functools.partial(blank_inputs, CROP, CANDIDATES))
    each = forward_flops(network, variables, *inputs) * options.batch_size
    simulation = SimulationOptions()
    height, width = (min(a, b) for a, b in zip(size, simulation.size, strict=True))
    clips = options.clips * (simulation.steps + 1) * height * width * CLIP
    return clips + options.steps * each * _WITH_GRADIENTS / FLOPS


def forward_flops(network: Network, variables: Any, *inputs: Any) -> float:
    """Floating-point operations of a network in training, one forward pass.

    Args:
      network: it.
      variables: arrays, or their shapes.
      *inputs: arrays, or their shapes.
    """

    def forward(variables: Any, *inputs: Any) -> Any:
        return network.apply(variables, *inputs, train=True, rngs={"dropout": jax.random.key(0)})

    analysis = jax.jit(forward).lower(variables, *inputs).cost_analysis()
    return float(dict(analysis or {}).get("flops", 0.0))
