"""Writing TFDS data sets: one writer at a time, whole data sets or none, of the files as they are.

Beside the folder of a version stand ``run.json`` and the records of its files (``files/records``):
a second run compares all that the set was built from, and the set itself, with them.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from wrp_jax.files.digests import FileDigests
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import RUN_FILE, claim_output
from wrp_jax.files.records import Records, fingerprint
from wrp_jax.machine import cannot_write
from wrp_jax.types import UserError

RESULT_VERSION = 1
"""Raised when the program builds another data set from the same files: sets are built again."""

_log = logging.getLogger(__name__)


def prepare(
    make: Callable[[], tfds.core.DatasetBuilder],
    data: Path,
    output: Path,
    made_from: Callable[[FileDigests], str],
) -> str:
    """Builds a data set, unless it is there already, of the same files and as it was built.

    Else it is built again; the one before stays until the new one is complete. What a killed
    build has left is removed.

    Args:
      make: makes the builder of the data set.
      data: what it reads.
      output: TFDS data directory that the builder writes into.
      made_from: fingerprint of all that the builder reads; it may remember digests of files.

    Returns:
      What to give as ``--data`` to read it, one per split.

    Raises:
      UserError: a data set that was not built here is in its place, or another process builds it;
        what the builder finds wrong with the input.
    """
    builder = make()
    target = Path(builder.data_dir)
    home, aside = target.parent, _aside(target)
    _check_ours(target)
    with sole_writer(home, "--output"):
        _check_ours(target)
        if aside.exists() and not target.exists():
            aside.rename(target)  # by a build that was killed
        records = Records(home)
        mark = fingerprint(RESULT_VERSION, made_from(records.digests))
        before = [path for path in records.files() if target in path.parents]
        # All are looked at, so that each that was changed is told.
        if target.exists() and before and all([records.is_current(p, mark) for p in before]):
            _log.warning("%s is there already, built from the same files: nothing to do", target)
        else:
            records.tell()
            with _in_place_of(target):
                claim_output(home, {"set": builder.name})
                builder = make()  # anew: the other one describes the set before
                _build(builder, data, output)
            now = sorted(path for path in target.rglob("*") if path.is_file())
            others = [path for path in records.files() if target not in path.parents]
            records.keep_only([*now, *others])
            records.add(mark, now)
        records.save()
    full_name = home.relative_to(Path(builder.data_dir_root))
    return " ".join(f"tfds:{full_name}:{split}@{output}" for split in builder.info.splits)


def _build(builder: tfds.core.DatasetBuilder, data: Path, output: Path) -> None:
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=str(data))
        )
    except OSError as error:
        raise cannot_write(output, error) from error


@contextlib.contextmanager
def _in_place_of(target: Path) -> Iterator[None]:
    """Takes a data set aside while the body builds another; it comes back if the body fails."""
    there, claimed = target.exists(), (target.parent / RUN_FILE).exists()
    for left in target.parent.glob(f"incomplete.*_{target.name}"):
        shutil.rmtree(left)  # by a build that was killed: nobody else builds here now
    try:
        if there:
            target.rename(_aside(target))
        yield
    except BaseException:
        if there and not target.exists():
            _aside(target).rename(target)
        if not claimed:
            (target.parent / RUN_FILE).unlink(missing_ok=True)
        raise
    if there:
        shutil.rmtree(_aside(target))


def _aside(target: Path) -> Path:
    return target.with_name(f"incomplete.before_{target.name}")


def _check_ours(target: Path) -> None:
    if target.exists() and not (target.parent / RUN_FILE).is_file():
        raise UserError(
            f"{target} is there already, without a record of what it was built from: remove it or "
            "choose another name."
        )
