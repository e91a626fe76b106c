"""Goes on from a finished run with other labelled frames, for a short while: ``RUN/updates/N``.

The run stays as it is: labels may grow again, and any update can be repeated. An update is a
workdir of its own, with the segmentation network trained on from that of the update before it, or
of the run, and with the run's other networks as they are: the refiner learns how guesses err, which
a few labels more do not change.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wrp_jax import interrupts, processes
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import read_bytes, sha256
from wrp_jax.files.strict_json import read_json
from wrp_jax.progress import waiting
from wrp_jax.runs.compatibility import check_metadata
from wrp_jax.runs.results import SEGMENTATION, load_result, result_path
from wrp_jax.runs.workdir import prepare_workdir, run_metadata
from wrp_jax.segmentation.predictions import PRECOMPUTED
from wrp_jax.training.segmentation.crops import build_crop_dataset
from wrp_jax.training.segmentation.stage import train_network
from wrp_jax.types import UserError, Window

UPDATES_FOLDER = "updates"
_START_FILE = "start.json"
_RATE = 0.25
"""Share of the learning rate: the network has been trained, and is not to forget."""


def check_update(config: Config, steps: int) -> None:
    """Refuses what cannot be updated.

    Raises:
      UserError: no steps, or no stage that trains a segmentation from labelled frames.
    """
    if steps < 1:
        raise UserError(f"--update_steps={steps} must be at least 1.")
    if SEGMENTATION not in config.stages or config.segmentation.name == PRECOMPUTED:
        raise UserError(
            "--update trains the segmentation network of a run on, and this config trains none "
            f"(config.stages is {', '.join(config.stages)}): leave --update out."
        )


def update_run(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: Path,
    steps: int,
) -> Path:
    """Trains the segmentation of a run on, with the labels that there are now.

    The same call goes on where it was stopped, and does nothing where it was finished.

    Args:
      config: of the run.
      known: the labelled frames now.
      source: the video.
      windows: see ``train_segmentation``.
      workdir: of the run; every stage of it is finished.
      steps: of the optimiser.

    Returns:
      The workdir of the update.

    Raises:
      UserError: the run is not finished, or is of another config or other classes.
    """
    check_update(config, steps)
    options = copy.deepcopy(config)
    recipe = options.segmentation.optimiser
    recipe.steps, recipe.epochs, recipe.learning_rate = steps, 0, _RATE * recipe.learning_rate
    folder = Path(processes.first(lambda: str(_prepare(config, options, known, workdir))))
    if processes.first(lambda: result_path(folder, SEGMENTATION).exists()):
        processes.say(f"{SEGMENTATION}: updated before, skipped")
        return folder
    interrupts.check()
    start, _ = load_result(_start(folder, workdir), SEGMENTATION)
    dataset = build_crop_dataset(options.segmentation, known, source, windows)
    with waiting("working on the update of the segmentation"):
        train_network(SEGMENTATION, options, known, dataset, folder, start=start)
    processes.align()
    return folder


def _prepare(config: Config, options: Config, known: KnownLabels, workdir: Path) -> Path:
    """The update of these labels and options; made if there is none."""
    for stage in config.stages:
        if not result_path(workdir, stage).exists():
            raise UserError(
                f"--update goes on from a finished run, and {workdir} has no {stage}: run train.py "
                "without --update, with the labels that it was begun with or another --workdir."
            )
    now, trained = run_metadata(config, known), _metadata_of(workdir)
    check_metadata(workdir, {key: trained[key] for key in ("classes", "config")}, now)
    wanted = run_metadata(options, known)
    before = sorted((int(p.name), p) for p in (workdir / UPDATES_FOLDER).glob("[0-9]*")
                    if p.name.isdigit())  # fmt: skip
    for _, folder in before:
        if _is_of(folder, wanted):
            return folder
    finished = [folder for _, folder in before if result_path(folder, SEGMENTATION).exists()]
    origin = finished[-1] if finished else workdir
    number = before[-1][0] + 1 if before else 1
    folder = workdir / UPDATES_FOLDER / str(number)
    content = {
        "from": "" if origin == workdir else origin.name,
        "sha256": sha256(result_path(origin, SEGMENTATION)).hex(),
    }
    write_atomically(folder / _START_FILE, (json.dumps(content, indent=1) + "\n").encode())
    for stage in config.stages:
        if stage != SEGMENTATION:
            data = read_bytes(result_path(workdir, stage), limit=2**40)
            write_atomically(result_path(folder, stage), data)
    prepare_workdir(folder, options, known)  # last: from now on it is found again
    return folder


def _start(folder: Path, workdir: Path) -> Path:
    """The workdir that an update goes on from."""
    try:
        content = dict(read_json(folder / _START_FILE))
        name, digest = str(content["from"]), content["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder} is damaged: remove it, and update again.") from error
    origin = workdir / UPDATES_FOLDER / name if name else workdir
    if sha256(result_path(origin, SEGMENTATION)).hex() != digest:
        raise UserError(
            f"{result_path(origin, SEGMENTATION)} has changed since {folder} was begun: remove "
            "that folder, and update again."
        )
    return origin


def _metadata_of(workdir: Path) -> dict[str, Any]:
    _, metadata = load_result(workdir, SEGMENTATION)
    return metadata


def _is_of(folder: Path, wanted: dict[str, Any]) -> bool:
    """Whether a folder holds the update of these labels and options."""
    try:
        stored = dict(read_json(folder / "config.json")), read_json(folder / "labels.json")
        return stored[0] == wanted["config"] and stored[1]["fingerprint"] == wanted["fingerprint"]
    except (UserError, ValueError, TypeError, KeyError):
        return False
