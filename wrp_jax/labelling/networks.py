"""The motion and the trained networks that a run's methods need."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from wrp_jax.checkpoint import result_path
from wrp_jax.config import Config
from wrp_jax.models.motion import Motion, build_motion
from wrp_jax.models.motion.base import zero_motion
from wrp_jax.propagation.cues import Segment, segment_clip
from wrp_jax.propagation.methods import METHODS
from wrp_jax.propagation.step import Refine
from wrp_jax.types import ClassMap, UserError

STANDS_STILL = frozenset({"static", "semantic-only", "semantic-argmax"})
"""Methods that never look at motion."""


class Networks(NamedTuple):
    """What the methods of a run are given.

    Attributes:
      motion: f_θ.
      segment: g_ψ, or None where no method reads it.
      refine: Ω, or None.
      digest: of the weights; empty without any.
    """

    motion: Motion
    segment: Segment | None
    refine: Refine | None
    digest: str


def needs_training(methods: Sequence[str]) -> bool:
    """Whether any of the methods reads a trained network."""
    return any(METHODS[name].segments or METHODS[name].refines for name in methods)


def load_networks(
    config: Config, methods: Sequence[str], classes: ClassMap, workdir: Path | None
) -> Networks:
    """Builds the motion and loads the weights, as far as the methods need them.

    Raises:
      UserError: no workdir where one is needed, a stage that is not trained, damaged weights,
        or weights of other classes.
    """
    still = set(methods) <= STANDS_STILL
    motion = zero_motion() if still else build_motion(config.motion)
    if not needs_training(methods):
        return Networks(motion, None, None, "")
    if workdir is None:
        trained = [name for name in methods if needs_training([name])]
        raise UserError(
            f"--workdir is missing: {', '.join(trained)} need what train.py made there "
            "(--method=motion-only needs nothing)."
        )
    from wrp_jax.training.refiner import load_refiner
    from wrp_jax.training.segmentation import load_segmentation

    network, variables = load_segmentation(workdir, config, classes)
    segment = functools.partial(segment_clip, network, variables)
    stages = ["segmentation"]
    refine = None
    if any(METHODS[name].refines for name in methods):
        refine = load_refiner(workdir, config, classes)
        stages.append("refiner")
    digest = hashlib.sha256()
    for stage in stages:
        digest.update(hashlib.sha256(result_path(workdir, stage).read_bytes()).digest())
    return Networks(motion, segment, refine, digest.hexdigest())
