"""The motion and the trained networks that a run's methods need."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wrp_jax.checkpoint import result_path
from wrp_jax.config import Config
from wrp_jax.models.motion import Motion, build_motion
from wrp_jax.models.motion.base import zero_motion
from wrp_jax.propagation.cues import Segment, segment_clip
from wrp_jax.propagation.methods import METHODS
from wrp_jax.types import ClassMap, UserError

STANDS_STILL = frozenset({"static", "semantic-only", "semantic-argmax"})
"""Methods that never look at motion."""

RefineWindow = Callable[..., tuple[Any, Any]]


class Networks(NamedTuple):
    """What the methods of a run are given.

    Attributes:
      motion: f_θ.
      segment: g_ψ, or None where no method reads it.
      refine: warp-refine over a window: ``refine(cues, key_index, key_label, classes, motion)
        -> (labels, confidence)``; None where no method needs Ω.
      digest: of the weights; empty without any.
      trained_on: ``"<sequence> <frame>"`` of the labelled frames they were trained on.
    """

    motion: Motion
    segment: Segment | None
    refine: RefineWindow | None
    digest: str
    trained_on: frozenset[str] = frozenset()


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
    from wrp_jax.training.segmentation import load_segmentation

    network, variables = load_segmentation(workdir, config, classes)
    segment = functools.partial(segment_clip, network, variables)
    stages = ["segmentation"]
    refine = None
    if any(METHODS[name].refines for name in methods):
        from wrp_jax.propagation.refined import refine_window
        from wrp_jax.training.refiner import load_refiner

        refiner, refiner_variables = load_refiner(workdir, config, classes)
        refine = functools.partial(
            refine_window,
            refiner=refiner,
            variables=refiner_variables,
            recursive=config.refiner.recursive,
        )
        stages.append("refiner")
    digest = hashlib.sha256()
    for stage in stages:
        digest.update(hashlib.sha256(result_path(workdir, stage).read_bytes()).digest())
    return Networks(motion, segment, refine, digest.hexdigest(), _trained_on(workdir))


def _trained_on(workdir: Path) -> frozenset[str]:
    """What ``training.stages`` notes in ``labels.json``; empty where there is no such note."""
    try:
        return frozenset(json.loads((workdir / "labels.json").read_text("utf-8"))["frames"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
