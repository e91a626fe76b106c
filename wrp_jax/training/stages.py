"""The stages that ``train.py`` runs one after the other, and the workdir they share.

A workdir belongs to one config, one class set and one set of labelled frames:
``config.json``, ``classes.json`` and ``labels.json`` say which. A stage ends with
``<stage>.npz`` (``checkpoint.save_result``) and is skipped from then on.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from wrp_jax.checkpoint import check_metadata, load_result, result_path
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.lock import LOCK_FILE
from wrp_jax.data.source import VideoSource
from wrp_jax.data.writers import write_atomically
from wrp_jax.types import UserError, Window

Stage = Callable[[Config, KnownLabels, VideoSource, Sequence[Window], Path], None]

STAGES: dict[str, str] = {
    "motion": "wrp_jax.training.motion.stage:train_motion",
    "segmentation": "wrp_jax.training.segmentation.stage:train_segmentation",
    "refiner": "wrp_jax.training.refiner.stage:train_refiner",
}
"""Stage → ``module:function``, imported when it runs.

``function(config, known, source, windows, workdir)`` trains and ends with ``save_result``.
"""

CHECKS: dict[str, str] = {
    "motion": "wrp_jax.training.motion.stage:check_options",
    "segmentation": "wrp_jax.training.segmentation.stage:check_options",
    "refiner": "wrp_jax.training.refiner.stage:check_options",
}
"""Stage → ``module:function``; ``function(config)`` refuses what the stage does not know."""

WITHOUT_LABELS = frozenset({"motion"})
"""Stages that look at no label: ``known`` and ``windows`` may be empty."""


def reads_labels(names: Sequence[str]) -> bool:
    """Whether any of these stages looks at labels."""
    return not WITHOUT_LABELS.issuperset(names)


def run_metadata(config: Config, known: KnownLabels) -> dict[str, Any]:
    """What a run was trained with: ``config``, ``classes``, ``fingerprint`` (JSON values).

    Every stage gives it to ``loop.fit`` and ``checkpoint.save_result``. Which stages the config
    lists plays no part, so one more can be added to a workdir; nor do ``workers``, which read the
    same examples.
    """
    options = dataclasses.asdict(config)
    del options["stages"], options["workers"]
    return {
        "config": json.loads(json.dumps(options)),
        "classes": classes_to_json(known.classes),
        "fingerprint": known.fingerprint(),
    }


def check_stages(config: Config) -> None:
    """Looks through the options of all stages: none is to be trained before another one fails.

    Raises:
      UserError: a stage that does not exist, or an option that one of them does not know.
    """
    if not config.stages:
        raise UserError(f"--config.stages is empty: there are {', '.join(STAGES)}.")
    for name in config.stages:
        if name not in STAGES:
            raise UserError(f"--config.stages has '{name}': there are {', '.join(STAGES)}.")
    for name in config.stages:
        if name in CHECKS:
            _imported(CHECKS[name])(config)


def prepare_workdir(
    workdir: str | os.PathLike, config: Config, known: KnownLabels
) -> tuple[Path, ...]:
    """Makes a workdir, or checks that an old one was made for the same run.

    Returns:
      The files that were written.

    Raises:
      UserError: it belongs to another config, class set or other labelled frames. Nothing is
        written then.
    """
    workdir = Path(workdir)
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file: give a folder.")
    now = run_metadata(config, known)
    frames = sorted(f"{item.sequence} {item.name}" for item in known.items)
    contents = {
        "classes.json": now["classes"],
        "labels.json": {"fingerprint": now["fingerprint"], "frames": frames},
        "config.json": now["config"],
    }
    old = {name: _read_json(workdir / name, content) for name, content in contents.items()}
    if old["classes.json"] is not None:
        check_metadata(workdir, {"classes": old["classes.json"]}, now)
    if old["labels.json"] is not None:
        _check_labels(workdir, old["labels.json"], contents["labels.json"])
    if old["config.json"] is not None:
        check_metadata(workdir, {"config": old["config.json"]}, now)
    missing = [name for name in contents if old[name] is None and jax.process_index() == 0]
    for name in missing:
        write_atomically(workdir / name, (json.dumps(contents[name], indent=1) + "\n").encode())
    return tuple(workdir / name for name in missing)


def run_stages(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> None:
    """Trains the stages of ``config.stages`` that are not finished, in their order."""
    check_stages(config)
    made = prepare_workdir(workdir, config, known)
    for name in config.stages:
        if result_path(workdir, name).exists():
            _, metadata = load_result(workdir, name)
            check_metadata(result_path(workdir, name), metadata, run_metadata(config, known))
            print(f"{name}: finished before, skipped", file=sys.stderr)
            continue
        stage: Stage = _imported(STAGES[name])
        try:
            stage(config, known, source, windows, Path(workdir))
        except UserError:
            _withdraw(Path(workdir), made)
            raise


def _withdraw(workdir: Path, made: Sequence[Path]) -> None:
    """Takes back what says whose a workdir is, where nothing has been trained in it: after a
    mistake that the stage alone could find, the corrected command may have the folder.
    """
    if {path for path in workdir.iterdir() if path.name != LOCK_FILE} == set(made):
        for path in made:
            path.unlink()


def _imported(target: str) -> Any:
    module, function = target.split(":")
    return getattr(importlib.import_module(module), function)


def _read_json(path: Path, like: Mapping[str, Any]) -> Any:
    """What an earlier run has written there, None if nothing; it has the lists of ``like``."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(content[k], list) for k, v in like.items() if isinstance(v, list)):
            raise TypeError
        return dict(content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be read: give another --workdir.") from error


def _check_labels(workdir: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    if old == new:
        return
    advice = "give the same --data, --windows, --keyframes and --stills, or another --workdir."
    for first, second, what in ((old, new, "is not given now"), (new, old, "is new")):
        differ = sorted(set(first["frames"]) - set(second["frames"]))
        if differ:
            frames = differ[0] + (f" (and {len(differ) - 1} more)" if len(differ) > 1 else "")
            raise UserError(
                f"{workdir} was trained on other labelled frames: {frames} {what}; {advice}"
            )
    if not old["frames"]:
        raise UserError(
            f"{workdir} was trained on other frames: give the same --data, or another --workdir."
        )
    raise UserError(f"{workdir} was trained on the same frames with other labels; {advice}")
