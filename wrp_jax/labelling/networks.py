"""The motion and the trained networks that a run's methods need."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from wrp_jax.checkpoint import result_path
from wrp_jax.config import Config, SegmentationConfig
from wrp_jax.flow.build import motion_digest
from wrp_jax.models.motion import Motion
from wrp_jax.models.motion.base import zero_motion
from wrp_jax.models.refine.pix2pix import refine_labels
from wrp_jax.models.segmentation import PUBLISHED
from wrp_jax.propagation.cues import Segment, segment_clip
from wrp_jax.propagation.methods import METHODS
from wrp_jax.propagation.step import Refine
from wrp_jax.sharding import batch_sharding, make_mesh, replicate
from wrp_jax.types import ClassMap, UserError

STANDS_STILL = frozenset({"static", "semantic-only", "semantic-argmax"})
"""Methods that never look at motion."""

RefineWindow = Callable[..., tuple[Any, Any]]


class Networks(NamedTuple):
    """What the methods of a run are given.

    Attributes:
      motion: f_θ.
      segment: g_ψ, or None where no method reads it.
      refine: a chooser over a window: ``refine(cues, key_index, key_label, classes, motion) ->
        (labels, confidence)``; None where Ω is none, or not needed.
      digest: of the weights and of precomputed flow; empty without any.
      trained_on: ``"<sequence> <frame>"`` of the labelled frames they were trained on.
      omega: Ω on the labels of Ψ^W (eq. 8), where it is no chooser.
      tau: τ of eq. 6 that was learnt along with Ω, or None.
    """

    motion: Motion
    segment: Segment | None
    refine: RefineWindow | None
    digest: str
    trained_on: frozenset[str] = frozenset()
    omega: Refine | None = None
    tau: float | None = None


def needs_training(methods: Sequence[str], options: SegmentationConfig) -> bool:
    """Whether any of the methods reads a network that ``train.py`` is to make first."""
    segments = any(METHODS[name].segments for name in methods) and not options.weights
    return segments or any(METHODS[name].refines for name in methods)


def load_networks(
    config: Config, methods: Sequence[str], classes: ClassMap, workdir: Path | None
) -> Networks:
    """Builds the motion and loads the weights, as far as the methods need them.

    Raises:
      UserError: no workdir where one is needed, a stage that is not trained, damaged weights,
        or weights of other classes.
    """
    from wrp_jax.training.motion import motion_of

    still = set(methods) <= STANDS_STILL
    motion = zero_motion() if still else motion_of(config, workdir)
    files: list[Path] = []
    read = "" if still else motion_digest(config.motion)
    if workdir is not None and "motion" in config.stages and not still:
        files.append(result_path(workdir, "motion"))
    if not any(METHODS[name].segments or METHODS[name].refines for name in methods):
        return Networks(motion, None, None, _digest(files) + read)
    if workdir is None and needs_training(methods, config.segmentation):
        trained = [name for name in methods if needs_training([name], config.segmentation)]
        raise UserError(
            f"--workdir is missing: {', '.join(trained)} need what train.py made there "
            "(--method=motion-only needs nothing)."
        )
    from wrp_jax.training.segmentation import load_segmentation, segmentation_file

    network, variables = load_segmentation(workdir, config, classes)
    refines = any(METHODS[name].refines for name in methods)
    mesh = make_mesh(jax.local_devices())
    segment = functools.partial(
        segment_clip,
        network,
        replicate(variables, mesh),
        batch_size=mesh.size * (1 if config.segmentation.name in PUBLISHED else 4),
        keep_features=refines,
        sharding=batch_sharding(mesh),
    )
    files.append(segmentation_file(workdir, config))
    refine, omega, tau, trained_on = None, None, None, frozenset()
    if workdir is not None:
        trained_on = _trained_on(workdir)
        if refines:
            refine, omega, tau = _load_refiner(config, classes, workdir)
            files.append(result_path(workdir, "refiner"))
    return Networks(motion, segment, refine, _digest(files) + read, trained_on, omega, tau)


def _digest(files: Sequence[Path]) -> str:
    """Of the contents of these files of weights; empty without any."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest() if files else ""


def _load_refiner(
    config: Config, classes: ClassMap, workdir: Path
) -> tuple[RefineWindow | None, Refine | None, float | None]:
    """A chooser works on windows with hypotheses of its own; the paper's Ω inside the steps."""
    from wrp_jax.propagation.refined import refine_window
    from wrp_jax.training.refiner import load_refiner

    network, variables, tau = load_refiner(workdir, config, classes)
    if config.refiner.name == "pix2pix":
        apply = functools.partial(refine_labels, network)
        return None, jax.tree_util.Partial(apply, variables), tau
    window = functools.partial(
        refine_window, refiner=network, variables=variables, recursive=config.refiner.recursive
    )
    return window, None, None


def _trained_on(workdir: Path) -> frozenset[str]:
    """What ``training.stages`` notes in ``labels.json``; empty where there is no such note."""
    try:
        return frozenset(json.loads((workdir / "labels.json").read_text("utf-8"))["frames"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
