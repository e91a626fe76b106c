"""Whose a workdir is: config, classes and labelled frames it was made for."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.digests import DIGESTS_FILE, FileDigests
from wrp_jax.files.lock import LOCK_FILE
from wrp_jax.files.regular import MAX_BYTES
from wrp_jax.files.strict_json import read_json
from wrp_jax.runs.compatibility import OTHER_LABELS, check_metadata
from wrp_jax.runs.results import result_path
from wrp_jax.types import UserError

_log = logging.getLogger(__name__)


def run_metadata(config: Config, known: KnownLabels) -> dict[str, Any]:
    """What a run was trained with: ``config``, ``classes``, ``fingerprint`` (JSON values).

    Every stage gives it to ``loop.fit`` and ``checkpoint.save_result``. Which stages the config
    lists plays no part, so one more can be added to a workdir; nor do ``workers``, which read the
    same examples; nor ``sharding``, which says where the same numbers lie; nor where propagated
    labels lie, which the fingerprint knows by their pixels, and what the result is scored on.
    """
    options = dataclasses.asdict(config)
    for name in ("stages", "workers", "sharding", "pseudo", "test"):
        del options[name]
    return {
        "config": json.loads(json.dumps(options)),
        "classes": classes_to_json(known.classes),
        "fingerprint": known.fingerprint(),
    }


def prepare_workdir(
    workdir: str | os.PathLike, config: Config, known: KnownLabels
) -> tuple[Path, ...]:
    """Makes a workdir, or checks that an old one was made for the same run; one process does.

    Returns:
      The files that were written.

    Raises:
      UserError: it belongs to another config, class set, to other labelled frames or other video.
        Nothing is written then.
    """
    workdir = Path(workdir)
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file: give a folder.")
    now, digests = run_metadata(config, known), FileDigests(workdir / DIGESTS_FILE)
    frames = sorted(f"{item.sequence} {item.name}" for item in known.items)
    contents = {
        "classes.json": now["classes"],
        "labels.json": {
            "fingerprint": now["fingerprint"],
            "frames": frames,
            **known.pictures(digests),
        },
        "config.json": now["config"],
    }
    old = {name: _read_json(workdir / name, content) for name, content in contents.items()}
    if old["classes.json"] is not None:
        check_metadata(workdir, {"classes": old["classes.json"]}, now)
    if old["labels.json"] is not None:
        _check_labels(workdir, old["labels.json"], contents["labels.json"])
    if old["config.json"] is not None:
        check_metadata(workdir, {"config": old["config.json"]}, now)
    missing = [name for name in contents if old[name] is None]
    for name in missing:
        write_atomically(workdir / name, (json.dumps(contents[name], indent=1) + "\n").encode())
    digests.save()
    return tuple(path for name in (*missing, DIGESTS_FILE) if (path := workdir / name).exists())


def is_finished(workdir: Path, config: Config, known: KnownLabels, stages: Sequence[str]) -> bool:
    """Whether these stages are trained; says so where they have learnt from other labels.

    Args:
      workdir: inside an output, whose command has no ``--workdir``; it need not exist.
      config: all options.
      known: the labels that there are now.
      stages: that are wanted.

    Raises:
      UserError: they are, or were begun, with another config or of other classes; or they were
        begun with other labels.
    """
    finished = all(result_path(workdir, stage).is_file() for stage in stages)
    old = {name: _read_json(workdir / f"{name}.json", {}) for name in ("config", "classes")}
    now = run_metadata(config, known)
    trained = {name: v for name, v in old.items() if v is not None}
    check_metadata(workdir, trained, now, flag="--output")
    labels = _read_json(workdir / "labels.json", {})
    others = labels is not None and labels.get("fingerprint") != now["fingerprint"]
    if others and not finished:
        raise UserError(
            f"{workdir}: a training that is not finished was begun with other labels: give these "
            "again until it is, or another --output."
        )
    if others:
        _log.warning(
            "%s: the networks have learnt from other labels than there are now, and are used as "
            "they are: give another --output to train anew",
            workdir,
        )
    return finished


def withdraw(workdir: Path, made: Sequence[Path]) -> None:
    """Takes back what says whose a workdir is, where nothing has been trained in it: after a
    mistake that the stage alone could find, the corrected command may have the folder.
    """
    if {path for path in workdir.iterdir() if path.name != LOCK_FILE} == set(made):
        for path in made:
            path.unlink()


def _read_json(path: Path, like: Mapping[str, Any]) -> Any:
    """What an earlier run has written there, None if nothing; it has the lists of ``like``."""
    if not path.exists():
        return None
    try:
        content = read_json(path, limit=MAX_BYTES)
        if not all(isinstance(content[k], list) for k, v in like.items() if isinstance(v, list)):
            raise TypeError
        return dict(content)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be read: give another --workdir.") from error


def _check_labels(workdir: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    if old == new:
        return
    advice = OTHER_LABELS
    for first, second, what in ((old, new, "is not given now"), (new, old, "is new")):
        differ = sorted(set(first["frames"]) - set(second["frames"]))
        if differ:
            frames = differ[0] + (f" (and {len(differ) - 1} more)" if len(differ) > 1 else "")
            raise UserError(
                f"{workdir} was trained on other labelled frames: {frames} {what}; {advice}"
            )
    if old["frames"] and old.get("fingerprint") != new["fingerprint"]:
        raise UserError(f"{workdir} was trained on the same frames with other labels; {advice}")
    if not old["frames"]:
        advice = "give the same --data, or another --workdir."
    for kind, what in (
        ("pictures", "the labelled frame {} was another picture"),
        ("video", "those of the sequence {} were others, more or fewer"),
    ):
        before = old.get(kind)
        if not isinstance(before, dict):
            continue  # trained by a version that kept none
        names = sorted(before.keys() | new[kind].keys())
        differ = [name for name in names if before.get(name) != new[kind].get(name)]
        if differ:
            more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
            what = what.format(differ[0] + more)
            raise UserError(f"{workdir} was trained on other frames: {advice[:-1]} ({what}).")
    if old.get("fingerprint") != new["fingerprint"]:
        raise UserError(f"{workdir} was trained on other frames: {advice}")
