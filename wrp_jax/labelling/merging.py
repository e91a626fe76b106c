"""Shards of a run: what they agree on, and how the last one to end makes one run of them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

from wrp_jax.config import Config, check
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.files.copies import with_addresses, with_local_copies
from wrp_jax.files.failures import Failures
from wrp_jax.files.lock import remove_leftovers
from wrp_jax.files.records import Records
from wrp_jax.files.shards import JOB_FILE, SHARDS_FOLDER, WHOLE, Shard, read_job
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.kept import labels_of
from wrp_jax.labelling.plan import Plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.labelling.window_result import labels_of_window
from wrp_jax.runs.networks import Networks
from wrp_jax.runs.stored_config import config_from_json
from wrp_jax.types import UserError


class StoredCommand(NamedTuple):
    """The command of which an output holds shards.

    Attributes:
      folder: that it was given in; its paths may be relative to it.
      config, request, workdir: of ``propagate``; the request is for all windows.
    """

    folder: Path
    config: Config
    request: Request
    workdir: Path | None


def job_of(plan: Plan, request: Request, workdir: Path | None) -> dict[str, Any]:
    """What the shards of a run share the work on, see ``files.shards.shard_writer``."""
    command = {
        "folder": os.getcwd(),
        "config": dataclasses.asdict(plan.config),
        "workdir": None if workdir is None else os.fspath(workdir),
        "data": request.data,
        "method": request.method,
        "windows": request.windows,
        "keyframes": request.keyframes,
        "horizon": request.horizon,
        "min_quality": request.min_quality,
    }
    job = {"data": request.data, "plan": plan.digest, "command": command}
    return with_addresses(job)


def stored_command(output: Path) -> StoredCommand:
    """Reads the command back.

    Raises:
      UserError: the output holds no shards, or what they have noted is of another version.
    """
    job = read_job(output)
    if job is None:
        raise UserError(
            f"{output} holds no shards to merge: give the --output of wrp propagate --num_shards. "
            "Shards that have been merged are gone from there."
        )
    if job["command"] is None:
        raise UserError(
            f"{output} holds shards of another command than wrp propagate: run any of them again, "
            "which merges."
        )
    where = output / SHARDS_FOLDER / JOB_FILE
    try:
        command = with_local_copies(dict(job["command"]), str(where))
        folder = Path(command.pop("folder"))
        workdir = command.pop("workdir")
        config = config_from_json(Config, command.pop("config"), str(where))
        shard = Shard(0, int(job["num_shards"]))
        request = Request(output=output, shard=shard, **command)
        texts = (request.data, request.method, request.windows or "", request.keyframes or "")
        numbers = isinstance(request.horizon, int | None) and isinstance(
            request.min_quality, int | float | None
        )
        if not all(isinstance(text, str) for text in texts) or not numbers:
            raise ValueError("values of other types")
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{where} is damaged: run one of the shards again.") from error
    check(config, str(where))
    return StoredCommand(folder, config, request, None if workdir is None else Path(workdir))


def unfinished(plan: Plan) -> tuple[int, ...]:
    """Shards with a window that is neither labelled nor listed as failed; opens no frame.

    A window that was made from other labels than there are now is not labelled yet.
    """
    files, failures = OutputFiles(plan), Failures(plan.output)
    digests = SourceDigests(plan.source, Records(plan.output).digests)
    known = plan.known_labels()
    found = []
    for index, part in enumerate(plan.parts):
        # From the end: a shard that is at work has not come there yet.
        for job in reversed(part):
            made_from = labels_of_window(files.window_path(job))
            current = made_from is not None and made_from == labels_of(job, digests, known)
            if not current and job.part not in failures:
                found.append(index)
                break
    return tuple(found)


def merge(plan: Plan, networks: Networks) -> dict[str, Any]:
    """Makes one output of all shards: as one process leaves it behind, to the last byte.

    To be called by its only writer, where none is ``unfinished``; the shards are there until
    ``files.shards.remove_shards``.

    Args:
      plan: of any of the shards.
      networks: that they were labelled with.

    Returns:
      What ``metrics.json`` holds.

    Raises:
      UserError: windows are missing, whose frames or results have changed since.
    """
    remove_leftovers(plan.output)
    whole, failures = dataclasses.replace(plan, shard=WHOLE), Failures(plan.output)
    results = label_windows(whole, networks, failures, limit=0)
    missing = sorted(
        index
        for index, part in enumerate(plan.parts)
        if any(job.number not in results and job.part not in failures for job in part)
    )
    if missing:
        raise missing_shards(plan, missing)
    return finish(whole, results, networks.trained_on, len(failures))


def missing_shards(plan: Plan, missing: list[int] | tuple[int, ...]) -> UserError:
    """The sentence for who wants to merge too early."""
    which = ", ".join(map(str, missing))
    are = "is" if len(missing) == 1 else "are"
    return UserError(
        f"{plan.output}: {len(missing)} of {plan.shard.count} shards {are} not finished: run wrp "
        f"propagate with --num_shards={plan.shard.count} and --shard_id={which} again; the last "
        "one to end merges."
    )
