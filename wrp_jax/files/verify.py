"""Whether an output is as runs have written it: ``--verify``, and before others write there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wrp_jax import interrupts
from wrp_jax.files.digests import FileDigests
from wrp_jax.files.lock import TEMPORARY
from wrp_jax.files.output import RUN_FILE, read_run
from wrp_jax.files.records import RECORDS_FILE, Records, fault_of, read_records
from wrp_jax.files.shards import shard_homes
from wrp_jax.types import UserError


def verify(output: Path) -> tuple[int, list[str]]:
    """Compares every file of an output with what was written there; reads all, writes nothing.

    Returns:
      How many files are recorded, and a sentence for each that is not as it was written.

    Raises:
      UserError: no run has written the folder, or one that kept no records.
    """
    if not any((place / RECORDS_FILE).is_file() for place in (output, *shard_homes(output))):
        what = "an earlier version" if (output / RUN_FILE).is_file() else "no run"
        raise UserError(
            f"{output} has no {RECORDS_FILE}: {what} has written it; give the --output of a run."
        )
    digests = FileDigests()  # without a memory: what has rotten on the disk looks as it did
    entries, damaged = read_records(output, digests)
    faults = [f"{place} is damaged." for place in damaged]
    for name, (_, digest) in sorted(entries.items()):
        interrupts.check()
        fault = fault_of(output / name, digest, digests)
        if fault:
            faults.append(f"{fault}.")
    return len(entries), faults


def check_free(output: Path, names: Iterable[str]) -> None:
    """Refuses an output with files of others in the places of this run's own.

    Where ``run.json`` was removed, what the records know is of an earlier run still.

    Args:
      output: the output folder.
      names: of files and folders in it that a run is going to write, or write into.

    Raises:
      UserError: there is such a file, and no run has made the folder its own.
    """
    if read_run(output) is not None:
        return
    known = None
    for name in dict.fromkeys(names):
        place = output / name
        for path in (place, *place.rglob("*")):
            if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
                continue
            known = set(Records(output).files()) if known is None else known
            if path not in known and not TEMPORARY.fullmatch(path.name):
                raise UserError(
                    f"{path} is there already and not of an earlier run: give another --output, or "
                    "move it away."
                )


def check_unchanged(output: Path) -> None:
    """Refuses an output in which somebody has changed files, which are nobody's to write over.

    Raises:
      UserError: files are not as a run has written them.
    """
    if not (output / RECORDS_FILE).is_file():
        return
    changed = [
        fault for fault in verify(output)[1] if fault.endswith("changed after it was written.")
    ]
    if changed:
        raise UserError(
            f"{changed[0]} {len(changed)} files of {output} were changed since they were written: "
            "give another output, or remove these files to have them written again."
        )


def check_as_written(output: Path, path: Path) -> None:
    """Refuses a file of an output that somebody has changed since a run has written it.

    A file that no run has recorded passes.

    Args:
      output: the output folder.
      path: the file.

    Raises:
      UserError: the file is not as it was written.
    """
    digests = FileDigests()
    entry = read_records(output, digests)[0].get(path.relative_to(output).as_posix())
    fault = fault_of(path, entry[1], digests) if entry else ""
    if fault:
        raise UserError(
            f"{fault}: give the command that wrote {output} again, which writes the file anew."
        )
