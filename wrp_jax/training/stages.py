"""The stages that ``train.py`` runs one after the other, and the workdir they share.

A workdir belongs to one config, one class set and one set of labelled frames:
``config.json``, ``classes.json`` and ``labels.json`` say which. A stage ends with
``<stage>.npz`` (``checkpoint.save_result``) and is skipped from then on.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from wrp_jax import interrupts, processes
from wrp_jax.config import Config, check
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.progress import waiting
from wrp_jax.runs.checkpoints import is_begun
from wrp_jax.runs.compatibility import check_metadata
from wrp_jax.runs.results import load_result, result_path
from wrp_jax.runs.workdir import prepare_workdir, run_metadata, withdraw
from wrp_jax.types import UserError, Window

Stage = Callable[[Config, KnownLabels, VideoSource, Sequence[Window], Path], None]


STAGES: dict[str, str] = {
    "motion": "wrp_jax.training.motion.stage:train_motion",
    "segmentation": "wrp_jax.training.segmentation.stage:train_segmentation",
    "refiner": "wrp_jax.training.refiner.stage:train_refiner",
    "student": "wrp_jax.training.segmentation.student:train_student",
}
"""Stage → ``module:function``, imported when it runs.

``function(config, known, source, windows, workdir)`` trains and ends with ``save_result``.
"""


CHECKS: dict[str, str] = {
    "motion": "wrp_jax.training.motion.stage:check_options",
    "segmentation": "wrp_jax.training.segmentation.stage:check_options",
    "refiner": "wrp_jax.training.refiner.stage:check_options",
    "student": "wrp_jax.training.segmentation.student:check_options",
}
"""Stage → ``module:function``; ``function(config)`` refuses what the stage does not know."""


STARTS: dict[str, str] = {
    "segmentation": "wrp_jax.training.segmentation.pretrained:check_start",
    "student": "wrp_jax.training.segmentation.pretrained:check_start",
}
"""Stage → ``module:function``; ``function(config.segmentation)`` looks for the weights that the
stage starts from, which one that has begun does not read again."""


WITHOUT_LABELS = frozenset({"motion"})
"""Stages that look at no label: ``known`` and ``windows`` may be empty."""


def reads_labels(names: Sequence[str]) -> bool:
    """Whether any of these stages looks at labels."""
    return not WITHOUT_LABELS.issuperset(names)


def check_stages(config: Config, workdir: str | os.PathLike | None = None) -> None:
    """Looks through the options of all stages: none is to be trained before another one fails.

    Args:
      config: all options.
      workdir: of the run; None where nothing has been trained yet.

    Raises:
      UserError: an option out of its range, no stage, options that do not fit together, or weights
        to start from that are missing or damaged.
    """
    check(config)
    if not config.stages:
        raise UserError(f"--config.stages is empty: there are {', '.join(STAGES)}.")
    for name in config.stages:
        if name not in STAGES:
            raise UserError(f"--config.stages has '{name}': there are {', '.join(STAGES)}.")
    for name in config.stages:
        if name in CHECKS:
            _imported(CHECKS[name])(config)
    for name in config.stages:
        if name in STARTS and not (workdir and is_begun(workdir, name)):
            _imported(STARTS[name])(config.segmentation)


def run_stages(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> None:
    """Trains the stages of ``config.stages`` that are not finished, in their order."""
    check_stages(config, workdir)
    from wrp_jax.training.forecast import foretell

    expected = foretell(config, known, source, windows, workdir)
    made = _prepared(workdir, config, known)
    if expected:
        processes.say(expected)
    for name in config.stages:
        interrupts.check()
        if processes.first(lambda name=name: result_path(workdir, name).exists()):
            _, metadata = load_result(workdir, name)
            check_metadata(result_path(workdir, name), metadata, run_metadata(config, known))
            processes.say(f"{name}: finished before, skipped")
            continue
        stage: Stage = _imported(STAGES[name])
        try:
            with waiting(f"working on the stage {name}"):
                stage(config, known, source, windows, Path(workdir))
        except UserError:
            if jax.process_index() == 0:
                withdraw(Path(workdir), made)
            raise
        processes.align()  # its result is there when another stage reads it


def _prepared(workdir: str | os.PathLike, config: Config, known: KnownLabels) -> Sequence[Path]:
    """Of several processes the first prepares the workdir; the others must see it.

    Returns:
      The files that were written.
    """
    made = processes.first(lambda: list(map(str, prepare_workdir(workdir, config, known))))
    if not (Path(workdir) / "config.json").exists():
        raise UserError(
            f"--workdir={workdir} of process {jax.process_index()} is not that of process 0: give "
            "a folder of a file system that all processes share."
        )
    return [Path(path) for path in made]


def _imported(target: str) -> Any:
    module, function = target.split(":")
    return getattr(importlib.import_module(module), function)
