"""How long a training will take, told before its first step.

The arithmetic of a step is counted in the program of its network, which need not be compiled for
that, and divided by a stored speed; what an example takes goes with its pixels. Both were measured
on a server's processor, in seconds of one core. Accelerators differ too much for a stored speed:
there it is said that nothing is known.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.config import Config, RefinerConfig, SegmentationConfig
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, frame_size
from wrp_jax.models.network import Network
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.models.refine.pix2pix import STRIDE
from wrp_jax.motion.build import NETWORKS, SDCNETS
from wrp_jax.progress import duration, on_all_cores
from wrp_jax.propagation.chooser.network_inputs import blank_inputs, init_chooser
from wrp_jax.runs.checkpoints import is_begun
from wrp_jax.runs.results import MOTION, REFINER, SEGMENTATION, STUDENT
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.segmentation.predictions import PRECOMPUTED
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.motion.networks import build_estimator
from wrp_jax.training.motion.stage import loss_function
from wrp_jax.training.refiner.chooser.crops import CANDIDATES, CROP
from wrp_jax.training.refiner.pix2pix import chain_crops, label_crops
from wrp_jax.training.segmentation.crops import crops_of_epoch
from wrp_jax.training.segmentation.recipe import number_of_steps
from wrp_jax.types import ClassMap, Window

FLOPS = 25e9
"""Floating-point operations per second that a step of training gets out of one core."""
FLOPS_OF = {
    **dict.fromkeys(("raft_small", "raft_large"), 40e9),
    **dict.fromkeys(("sdcnet", "sdcnet_prediction"), 11e9),
    "pix2pix": 35e9,
}
"""The same for the networks whose speed is far from that."""
BYTES = 45e9
"""Bytes per second that the operations of a motion network and of its loss read and write on one
core; many of them have little arithmetic."""
CLIP = 3.3e-6
"""Seconds of one core for a pixel of a frame of a simulated clip: drawn, its motion, its crops."""
CYCLE = {"chooser": 4e-6, "pix2pix": 2.5e-6}
"""The same for a cycle in time, by the refiner: its motion, its segmentation, its crops."""
CHAINED = 0.6e-6
"""Seconds of one core for a pixel of a crop and a step of its chain, gradients included: labels are
carried; what the refiner takes is counted beside it."""
EXAMPLE = 1.5e-6
"""Seconds of one core for a pixel of an example for a motion network."""
COMPILING = 20.0
"""Seconds for the programs of a stage."""
_MANY = 50
"""Steps; counting the arithmetic of fewer takes as long as some of them."""
_WITH_GRADIENTS = 3  # times the arithmetic of a forward pass
_COUNTED = ("light", "efficient", PRECOMPUTED)
"""Segmentation networks whose time is in that of a clip and a cycle."""


def foretell(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> str:
    """One sentence on the time of the stages that begin anew; empty where it is short.

    Args:
      config: all options.
      known: the labelled frames.
      source: the video.
      windows: what will be labelled.
      workdir: of the run; what has been trained there, or begun, is left out.
    """
    labelled = len(known.items)
    new = [stage for stage in config.stages if not is_begun(workdir, stage)]
    if max((steps_of(config, stage, labelled) for stage in new), default=0) < _MANY:
        return ""
    if jax.default_backend() != "cpu":
        return "how long training takes on an accelerator is not known before its first steps"
    seconds = stage_seconds(config, new, known.classes, source, windows, labelled)
    told = {stage: each for stage, each in seconds.items() if each is not None}
    rest = " and ".join(stage for stage in new if stage not in told)
    if not told:
        return f"how long {rest} takes is not known before the first steps"
    whole = duration(sum(told.values()))
    parts = ", ".join(f"{stage} {duration(each)}" for stage, each in told.items())
    return (
        f"training takes about {whole} where nothing else runs ({parts}"
        + (f"; {rest} comes on top, and is not known" if rest else "")
        + "), which is known better after the first steps of each"
    )


def steps_of(config: Config, stage: str, labelled: int) -> int:
    """Steps of a stage; 0 of one that is none of the package's.

    Args:
      config: all options.
      stage: its name.
      labelled: how many frames are labelled.
    """
    recipe = config.segmentation.optimiser
    return {
        MOTION: config.motion_training.optimiser.steps,
        SEGMENTATION: number_of_steps(recipe, labelled),
        REFINER: config.refiner.steps,
        STUDENT: number_of_steps(recipe, crops_of_epoch(labelled, config.student.epoch)),
    }.get(stage, 0)


def stage_seconds(
    config: Config,
    stages: Sequence[str],
    classes: ClassMap,
    source: VideoSource,
    windows: Sequence[Window],
    labelled: int,
) -> dict[str, float | None]:
    """Seconds that each stage takes on the cores of this machine; None where that is not known.

    Args:
      config: all options.
      stages: names of stages.
      classes: of the labels.
      source: the video.
      windows: what will be labelled.
      labelled: how many frames are labelled.
    """

    def of_network(stage: str) -> float:
        return segmentation_seconds(config.segmentation, classes, steps_of(config, stage, labelled))

    makers: dict[str, Callable[[], float | None]] = {
        MOTION: lambda: motion_seconds(config, source),
        SEGMENTATION: lambda: of_network(SEGMENTATION),
        REFINER: lambda: refiner_seconds(config, classes, source, windows),
        STUDENT: lambda: of_network(STUDENT),
    }
    found: dict[str, float | None] = {}
    for stage in stages:
        seconds = makers[stage]() if stage in makers else None
        found[stage] = COMPILING + on_all_cores(seconds) if seconds else seconds
    return found


def segmentation_seconds(options: SegmentationConfig, classes: ClassMap, steps: int) -> float:
    """Seconds of one core for steps of the segmentation; 0 for predictions out of files.

    Args:
      options: of the segmentation.
      classes: of the labels.
      steps: how many.
    """
    if options.name == PRECOMPUTED:
        return 0.0
    network = build_for_classes(options, classes)
    image = jax.ShapeDtypeStruct((1, *options.sampling.crop, 3), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), image)
    each = forward_flops(network, variables, image) * options.optimiser.batch_size
    return steps * each * _WITH_GRADIENTS / FLOPS


def refiner_seconds(
    config: Config, classes: ClassMap, source: VideoSource, windows: Sequence[Window]
) -> float | None:
    """Seconds of one core for the examples and the steps of the refiner.

    None where a network gives the motion, or one of the large ones the segmentation: examples take
    as long as these do.

    Args:
      config: all options.
      classes: of the labels.
      source: the video.
      windows: what will be labelled.
    """
    options = config.refiner
    if config.motion.name in NETWORKS or config.segmentation.name not in _COUNTED or not windows:
        return None
    size = frame_size(source, windows[0].sequence, windows[0].key)
    steps = options.steps * _refiner_step(config, classes)
    examples = 0.0
    if options.source != "cycle":
        simulation = SimulationOptions()
        height, width = (min(a, b) for a, b in zip(size, simulation.size, strict=True))
        examples += (simulation.steps + 1) * height * width * CLIP
    if options.source != "simulated":
        frames = np.mean([_frames_of_cycle(options, source, window) for window in windows])
        examples += float(frames) * size[0] * size[1] * CYCLE[options.name]
    return steps + options.clips * examples


def _frames_of_cycle(options: RefinerConfig, source: VideoSource, window: Window) -> float:
    """Frames between the labelled one and the turn of a cycle, both included, on average."""
    names = source.frame_names(window.sequence)
    key, first, last = (names.index(name) for name in (window.key, window.first, window.last))
    reach = [n for n in (key - first, last - key) if n]
    return float(np.mean([(min(options.max_cycle_length, n) + 1) / 2 for n in reach or [0]])) + 1


def _refiner_step(config: Config, classes: ClassMap) -> float:
    """Seconds of one core for a step of the refiner."""
    options = config.refiner
    network = build_refiner(options)
    if options.name != "pix2pix":
        variables = jax.eval_shape(functools.partial(init_chooser, network), jax.random.key(0))
        inputs = jax.eval_shape(functools.partial(blank_inputs, CROP, CANDIDATES))
        flops = forward_flops(network, variables, *inputs)
        return _WITH_GRADIENTS * options.batch_size * flops / FLOPS
    in_chain = options.unrolled or options.learn_tau
    crop = chain_crops.CROP if in_chain else label_crops.CROP
    image = jax.ShapeDtypeStruct((1, 8 * STRIDE, 8 * STRIDE, 3), jnp.float32)
    if config.segmentation.name == PRECOMPUTED:
        channels = 0
    else:
        segmentation = build_for_classes(config.segmentation, classes)
        given = jax.eval_shape(segmentation.init, jax.random.key(0), image)
        channels = jax.eval_shape(segmentation.apply, given, image).features.shape[-1]
    labels = jax.ShapeDtypeStruct((1, crop, crop, classes.num_classes), jnp.float32)
    features = jax.ShapeDtypeStruct((1, crop // STRIDE, crop // STRIDE, channels), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), labels, features)
    length = 2 * options.max_cycle_length if in_chain else 0  # there and back
    flops = forward_flops(network, variables, labels, features)
    refined = _WITH_GRADIENTS * flops * (length if options.unrolled else 1) / FLOPS_OF["pix2pix"]
    return options.batch_size * (refined + CHAINED * length * crop**2)


def motion_seconds(config: Config, source: VideoSource) -> float | None:
    """Seconds of one core for the steps of a motion network and for their examples.

    None where a network gives the flows that it reads.

    Args:
      config: all options.
      source: the video, or pairs with true flow.
    """
    options, sampling = config.motion_training.optimiser, config.motion_training.sampling
    if config.motion.name in SDCNETS and config.motion.flow in NETWORKS:
        return None
    estimator, crop = build_estimator(config), sampling.crop
    if options.loss != "sequence":
        sequence = source.sequences[0]
        size = frame_size(source, sequence, source.frame_names(sequence)[0])
        crop = min(crop[0], size[0]), min(crop[1], size[1])
    height, width = (n // estimator.multiple * estimator.multiple for n in crop)
    of_batch = (options.batch_size, estimator.frames)
    entries = {
        "frames": ((*of_batch, height, width, 3), jnp.uint8),
        "guess": ((of_batch[0], of_batch[1] - 1, 2, height, width, 2), jnp.float32),
        "flow": ((of_batch[0], height, width, 2), jnp.float32),
        "valid": ((of_batch[0], height, width), jnp.bool_),
    }
    batch = {name: jax.ShapeDtypeStruct(*entry) for name, entry in entries.items()}
    variables = jax.eval_shape(estimator.init, jax.random.key(0), batch)
    measure = loss_function(estimator, options)
    flops, moved = _cost(lambda variables, batch: measure(variables, batch)[0], variables, batch)
    step = _WITH_GRADIENTS * (flops / FLOPS_OF.get(config.motion.name, FLOPS) + moved / BYTES)
    pixels = of_batch[0] * of_batch[1] * height * width
    return options.steps * (step + EXAMPLE * pixels)


def forward_flops(network: Network, variables: Any, *inputs: Any) -> float:
    """Floating-point operations of a network in training, one forward pass.

    Args:
      network: it.
      variables: arrays, or their shapes.
      *inputs: arrays, or their shapes.
    """

    def forward(variables: Any, *inputs: Any) -> Any:
        return network.apply(variables, *inputs, train=True, rngs={"dropout": jax.random.key(0)})

    return _cost(forward, variables, *inputs)[0]


def _cost(function: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """Floating-point operations of a function, and bytes that they read and write."""
    found = dict(jax.jit(function).lower(*arguments).cost_analysis() or {})
    return float(found.get("flops", 0.0)), float(found.get("bytes accessed", 0.0))
