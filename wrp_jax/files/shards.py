"""Several processes that write one output: each a shard of it, and no word between them.

``OUT/.shards/job.json`` says what they share the work on; those of other options, data or another
number of shards are refused. ``OUT/.shards/I-of-N`` is a shard's own: its lock, its records, the
list of what failed. All of it goes when the shards have been merged, and the output is then that of
one process. Whatever is read of an output (``records``, ``failures``, ``digests``) is read from all
shards that there are: any later run, of any number of shards or none, goes on from there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wrp_jax import interrupts
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import (
    SHARDS_FOLDER,
    HeldElsewhereError,
    check_place,
    is_merged_now,
    merging_writer,
    shared_writer,
    sole_writer,
)
from wrp_jax.files.regular import MAX_BYTES
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import UserError

JOB_FILE = "job.json"
MAX_SHARDS = 100_000
"""Each takes memory where work is shared; clusters start fewer tasks at once."""

_PATIENCE = 5.0  # seconds, for others that also want to write the job
_GLANCE = 0.3  # seconds, for one that is about to be refused
_POLL_SECONDS = 0.05

_Merged = TypeVar("_Merged")


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of the parts that processes share their work in.

    Attributes:
      index: which, from 0.
      count: of how many; the only one does what one process does.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Refuses what is no shard: ``ValueError``."""
        if not (0 <= self.index < self.count <= MAX_SHARDS):
            raise ValueError(f"{self.index} is not one of {self.count} shards")

    @property
    def is_all(self) -> bool:
        """Whether it is the only one."""
        return self.count == 1

    def home(self, output: Path) -> Path:
        """The folder for its records: its own, or the output itself where it is the only one."""
        return output if self.is_all else output / SHARDS_FOLDER / f"{self.index}-of-{self.count}"


WHOLE = Shard()
"""The work of a process that shares it with nobody."""


def shard_homes(output: Path) -> list[Path]:
    """Folders of all shards that are not merged yet, of whatever number, by name."""
    folder = output / SHARDS_FOLDER
    try:
        if folder.is_symlink() or not folder.is_dir():
            return []
    except OSError:  # a name that no folder can have: told where the folder is to be made
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def read_job(output: Path) -> dict[str, Any] | None:
    """What the shards of an output share the work on; None where none are left to be merged."""
    path = output / SHARDS_FOLDER / JOB_FILE
    if path.is_symlink() or not path.is_file():
        return None
    try:
        job = dict(read_json(path, limit=MAX_BYTES))
    except (UserError, ValueError, TypeError):
        return None  # damaged: the next shard writes it anew
    return job if job.keys() >= {"num_shards", "data", "plan", "command"} else None


@contextlib.contextmanager
def shard_writer(
    output: Path,
    shard: Shard,
    job: Mapping[str, Any],
    begin: Callable[[], None],
    check: Callable[[], bool],
) -> Iterator[None]:
    """Keeps everybody out of a shard of an output, and out of the output who is no shard of it.

    Args:
      output: the folder; made if missing.
      shard: this process's.
      job: JSON values: ``data``, which all shards must have alike until they are merged; ``plan``,
        what is done, alike among those that run at the same time, as is the number of shards; and
        ``command``, for who merges.
      begin: called where no other process is at work, before the first shard's body.
      check: whether ``begin`` has been called already, by whichever process; raises ``UserError``
        where another run has.

    Raises:
      UserError: the shard is being made already, or the shards of the output are others.
      MachineError: see ``lock.sole_writer``.
    """
    wanted = {"num_shards": shard.count, **job}
    deadline = time.monotonic() + _PATIENCE
    while True:
        # Looked at without the lock first: of many that come at once, each would keep the one that
        # writes the job out.
        if check() and not _differing(output, wanted):
            with shared_writer(output, "--output"):
                if check() and not _differing(output, wanted):
                    with _own_home(output, shard):
                        yield
                    return
        check_job(output, job)
        differing = _differing(output, wanted)
        try:
            with merging_writer(output, "--output"):
                check()
                if _differing(output, wanted) != "data":
                    begin()
                    text = json.dumps(wanted, indent=1, sort_keys=True) + "\n"
                    write_atomically(output / SHARDS_FOLDER / JOB_FILE, text.encode())
        except HeldElsewhereError:  # by shards at work, or by one that writes the job just now
            interrupts.check()
            if is_merged_now(output):
                deadline = time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                if differing in ("", "job"):
                    raise  # by a run without shards
                raise _refusal(output, wanted, differing) from None
            time.sleep(random.uniform(_POLL_SECONDS, 2 * _POLL_SECONDS))


def work_in_shards(
    output: Path,
    shard: Shard,
    job: Mapping[str, Any],
    begin: Callable[[], None],
    check: Callable[[], bool],
    work: Callable[[], object],
    unfinished: Callable[[], Sequence[int]],
    merge: Callable[[], _Merged],
) -> _Merged | None:
    """Does a shard's work, and merges all shards where it is the last one to end.

    Args:
      output: the folder; made if missing.
      shard: this process's.
      job: of ``shard_writer``, as are the next two.
      begin: called before the first shard's work.
      check: whether it has been called.
      work: what the shard does.
      unfinished: the shards that must still do something.
      merge: makes one output of all shards, its only writer; they are forgotten then.

    Returns:
      What ``merge`` returned; None where others are at work or not finished, which stderr says.

    Raises:
      UserError, MachineError: see ``shard_writer``.
    """
    with shard_writer(output, shard, job, begin, check):
        work()
    which = f"shard {shard.index} of {shard.count}"
    deadline = time.monotonic() + _GLANCE
    while True:
        try:
            with merging_writer(output, "--output"):
                missing = unfinished()
                if not missing:
                    merged = merge()
                    remove_shards(output)
                    return merged
                rest = f"not finished yet: {', '.join(map(str, missing))}"
                break
        except HeldElsewhereError:
            rest = "the last one to end merges"
            if time.monotonic() > deadline:
                break
        time.sleep(random.uniform(_POLL_SECONDS, 2 * _POLL_SECONDS))
    print(f"{which} has ended; {rest}.", file=sys.stderr)
    return None


def check_job(output: Path, job: Mapping[str, Any]) -> None:
    """Refuses other data than the shards have that are not merged yet; writes nothing.

    Raises:
      UserError: they are of other data.
    """
    there = read_job(output)
    if there is not None and there.get("data") != job["data"]:
        raise UserError(
            f"{output} holds unfinished shards of --data={there.get('data')}, not of "
            f"{job['data']}: give that, or another --output. One process without shards goes on "
            "with any."
        )


def remove_shards(output: Path) -> None:
    """Forgets the shards of an output, whose work is merged. To be called by its sole writer."""
    folder = output / SHARDS_FOLDER
    check_place(folder)
    for home in shard_homes(output):
        shutil.rmtree(home, ignore_errors=True)
    if not folder.is_symlink():  # the job last: until then the next shard to end merges again
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _own_home(output: Path, shard: Shard) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(sole_writer(shard.home(output), "--output"))
        except HeldElsewhereError:
            raise UserError(
                f"--shard_id={shard.index} of --output={output} is being made by another process: "
                f"give each process its own, 0…{shard.count - 1}."
            ) from None
        yield


def _differing(output: Path, wanted: Mapping[str, Any]) -> str:
    """In what the job at hand is another one than ``wanted``; empty if in nothing."""
    job = read_job(output)
    if job is None:
        return "job"
    return next((k for k in ("data", "num_shards", "plan") if job.get(k) != wanted[k]), "")


def _refusal(output: Path, wanted: Mapping[str, Any], differing: str) -> UserError:
    if differing == "num_shards":
        there = (read_job(output) or {}).get("num_shards")
        return UserError(
            f"{output} is being written in {there} shards, not in {wanted['num_shards']}: "
            "give the same --num_shards, or wait until they have ended."
        )
    return UserError(
        f"{output} is being written by shards that have found other frames, labels or lists: wait "
        "until they have ended, then start all of them again."
    )
