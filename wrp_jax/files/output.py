"""An output folder: what may be one, and whose it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.copies import address_of
from wrp_jax.files.regular import MAX_BYTES
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import UserError

RUN_FILE = "run.json"
_SHOWN = 4
_SHORT = 40
"""Characters of a value that is told."""


def check_output(output: Path, *roots: Path | None) -> None:
    """Refuses an output that is not to be written; writes nothing itself.

    Args:
      output: where results are to go; it need not exist.
      *roots: where inputs lie, see ``source.input_folder``; None and what is no directory are
        passed over.

    Raises:
      UserError: the output is a file, lies in an input, or nothing may be written there.
    """
    try:
        resolved = output.expanduser().resolve()
        existing = next(path for path in (resolved, *resolved.parents) if path.exists())
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, no such user
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{str(output)!r} is no place for an output: {reason}.") from error
    for root in filter(None, roots):
        if _lies_in(output, root):
            raise _inside(output, root)
        for inside in _real_folders(root.expanduser()):
            if resolved == inside or inside in resolved.parents:
                raise _inside(output, root)
    if not existing.is_dir():
        raise UserError(f"{output} cannot be written: {existing} is a file; choose a directory.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{output} cannot be written: no permission in {existing}.")


def check_apart(output: Path, workdir: Path | None) -> None:
    """Refuses an output and a workdir that lie in one another: each is a run's own.

    Args:
      output: where results are to go.
      workdir: of ``train.py``; None where there is none.

    Raises:
      UserError: they are the same folder, or one lies inside the other.
    """
    if workdir is None:
        return
    results, run = output.expanduser().resolve(), workdir.expanduser().resolve()
    nested = results == run or run in results.parents or results in run.parents
    if nested or _lies_in(output, workdir) or _lies_in(workdir, output):
        raise UserError(
            f"--output={address_of(output) or output} and --workdir="
            f"{address_of(workdir) or workdir} lie in one another: choose an output "
            "outside of the workdir."
        )


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether the address that one is the copy of lies in that of the other, or is the same."""
    inner, outer = address_of(path), address_of(folder)
    return bool(inner and outer and f"{inner}/".startswith(f"{outer}/"))


def _inside(output: Path, root: Path) -> UserError:
    where, whole = address_of(output) or output, address_of(root) or root
    return UserError(
        f"{where} lies inside the input {whole}: choose an output outside of it, so that results "
        "are not taken for labels."
    )


def check_sequences(source: str, sequences: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuses names of sequences that are those of an output's own files and folders.

    Args:
      source: the video, for the message.
      sequences: their names; each gets a folder of its name.
      own: names in the output beside ``run.json``. Upper and lower case are the same to some file
        systems.

    Raises:
      UserError: such a name, or one that begins with a dot.
    """
    taken = {name.casefold() for name in (RUN_FILE, *own)}
    for sequence in sequences:
        if sequence.startswith(".") or sequence.casefold() in taken:
            raise UserError(
                f"{source}: the output has a file or folder {sequence} of its own: give the "
                "sequence another name."
            )


def _real_folders(root: Path) -> set[Path]:
    """An input and its folders of frames and labels, which may be links to elsewhere."""
    found = (root, *root.glob("*"), *root.glob("*/frames"), *root.glob("*/labels"))
    return {path.resolve() for path in found if path.is_dir()}


def read_run(output: Path) -> dict[str, Any] | None:
    """What ``run.json`` of an output says; None where there is none, or it is damaged.

    Raises:
      UserError: it is a link.
    """
    path = output / RUN_FILE
    if path.is_symlink():
        raise UserError(f"{path} is a link: remove it, or choose another output.")
    if not path.is_file():
        return None
    try:
        return dict(read_json(path, limit=MAX_BYTES))
    except (ValueError, TypeError):
        return None


def check_run(output: Path, run: Mapping[str, Any], may_change: Collection[str] = ()) -> bool:
    """Whether an output belongs to a run already; writes nothing.

    Args:
      output: the output directory.
      run: see ``claim_output``.
      may_change: see ``claim_output``.

    Raises:
      UserError: the directory holds results of another run.
    """
    before = read_run(output)
    if before is None:
        return False
    wanted = json.loads(json.dumps(run))
    differing = [found for found in _differing(before, wanted) if found[0] not in may_change]
    if differing:
        names = ", ".join([name for name, _, _ in differing[:_SHOWN]])
        more = ", ..." if len(differing) > _SHOWN else ""
        raise UserError(
            f"{output} holds results of a run that differs in {names}{more}"
            f"{_values(differing[:_SHOWN])}: give the same options, or another output, or remove "
            "this one."
        )
    return before == wanted


_Difference = tuple[str, Any, Any]
"""Name of a value, with points where it is in an inner one; before, and wanted."""


def _differing(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[_Difference]:
    """All values that differ."""
    for key in sorted(before.keys() | wanted.keys()):
        old, new = before.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from ((f"{key}.{name}", a, b) for name, a, b in _differing(old, new))
        elif old != new:
            yield key, old, new


def _values(differing: Sequence[_Difference]) -> str:
    """What differs, in a sentence, as far as it is short: lists and hashes say nothing to read."""
    told = [
        f"{name} is {old} there and {new} now"
        for name, old, new in differing
        if all(isinstance(v, str | int | float) and len(str(v)) <= _SHORT for v in (old, new))
    ]
    return f" ({'; '.join(told)})" if told else ""


_NO_NAME = re.compile(r"[/\\\0\ud800-\udfff]")  # the last are bytes that are not UTF-8


def claim_output(output: Path, run: Mapping[str, Any], may_change: Collection[str] = ()) -> None:
    """Marks an output as belonging to a run.

    Where its ``run.json`` was removed or is damaged it is written anew. Results must depend on it
    by their own records (``records.run_mark``): those of another run are made again then.

    Args:
      output: the output directory.
      run: whatever the results depend on (configuration, checkpoint, windows); JSON values.
      may_change: keys of it that differ from one run to the next into the same output. Results
        depend on them by their own records alone (``records.run_mark``).

    Raises:
      UserError: the directory holds results of another run.
    """
    if not check_run(output, run, may_change):
        text = json.dumps(json.loads(json.dumps(run)), indent=1, sort_keys=True)
        write_atomically(output / RUN_FILE, text.encode())


def check_name(name: str) -> None:
    """Refuses names of sequences and frames that would lead elsewhere as a file's name, or that
    are no text: reports and data sets hold them too.

    Raises:
      UserError: it is such a name.
    """
    if name in ("", ".", "..") or _NO_NAME.search(name):
        raise UserError(f"{name!r} is no name for a file: rename it in the input.")
