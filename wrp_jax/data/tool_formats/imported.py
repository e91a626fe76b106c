"""An export, a zip or a video where a folder is expected: imported once, beside the results.

The import lies in ``HOME/imported`` (stills and what a run is scored on: in folders of their own
beside it), of which ``.source.json`` says what it was made from. While
the names, sizes and times of the source's files are what they were, it is used as it is; else it is
imported again, which writes what has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wrp_jax import interrupts
from wrp_jax.data import label_maps
from wrp_jax.data.known_labels import split_list
from wrp_jax.data.open_source import input_folder
from wrp_jax.data.passed_over import VIDEO_FILES
from wrp_jax.data.public_sets.convert import RESULT_VERSION
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.data.tool_formats.label_files import parse_label
from wrp_jax.data.tool_formats.recognise import (
    FRAMES,
    OURS,
    OUTPUT,
    label_hint,
    not_known,
    ours_hint,
    output_hint,
    recognise,
)
from wrp_jax.data.tool_formats.tree import open_tree
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import LOCK_FILE, HeldElsewhereError, merging_writer, sole_writer
from wrp_jax.files.output import check_output
from wrp_jax.files.records import Records, fingerprint
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import UserError

IMPORTED, IMPORTED_STILLS, IMPORTED_TEST = "imported", "imported_stills", "imported_test"
_SOURCE_FILE = ".source.json"
_POLL_SECONDS = 0.2
_FLAGS_OF_IMPORT = re.compile(r"--(frames|classes|void|partial)\b")


def export_at(
    data: str,
    home: Path,
    labels: Sequence[str] = (),
    *,
    labelled: bool = True,
    name: str = IMPORTED,
) -> bool:
    """Whether a source is an export that has to be imported to be read, or has been.

    Args:
      data: a source, see ``open_source``.
      home: where the results go.
      labels: values of ``--label``.
      labelled: whether labels will be read; frames alone are read where they lie.
      name: of the folder for the import in ``home``.

    Raises:
      UserError: an archive that is damaged; an output of ``wrp propagate``; a video without labels
        where labels will be read.
    """
    path = input_folder(data)
    if path is None or not path.exists():
        return False
    if labels:
        return True
    if path.is_dir() and _has_our_layout(path, labelled=labelled):
        return False
    if _is_current(home / name, path, labels):
        return True
    if _is_film(path):
        if labelled:
            refuse_film(data)
        return True
    try:
        with open_tree(path) as tree:
            found = recognise(tree)
            if found is None and tree.is_packed:
                raise UserError(not_known(path, tree))
    except UserError:
        if path.is_dir() and _has_our_layout(path, labelled=False):
            return False  # whose reader says what it lacks
        raise
    if found is None or (path.is_dir() and found.kind == OURS):
        return False
    if found.kind == OUTPUT:
        raise UserError(output_hint(path))
    if found.kind == OURS:
        raise UserError(ours_hint(path))
    return found.kind != FRAMES or (not labelled and path.is_file())


def imported_in(home: Path, data: str | None) -> str | None:
    """The folder to which a run has imported its source, or the source itself.

    Args:
      home: where the results of the run are.
      data: the source; None: whatever the run has imported.

    Returns:
      None where there is neither.
    """
    folder = home / IMPORTED
    if data is None:
        return str(folder) if (folder / _SOURCE_FILE).is_file() else None
    path = input_folder(data)
    is_there = path is not None and path.exists() and _is_current(folder, path, ())
    return str(folder) if is_there else data


def refuse_film(data: str) -> None:
    """Refuses a video file, which has no labels, where labels are needed.

    Raises:
      UserError: it is one: what labels it.
    """
    path = input_folder(data)
    if path is not None and _is_film(path):
        raise UserError(label_hint(path))


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_FILES and path.is_file()


@contextlib.contextmanager
def imported(
    data: str,
    home: Path,
    labels: Sequence[str] = (),
    *,
    labelled: bool = True,
    dry_run: bool = False,
    shared: bool = False,
    flag: str = "--output",
    name: str = IMPORTED,
    say: Callable[[str], None],
) -> Iterator[str]:
    """The source itself, or the folder that it has been imported to.

    A folder that was made for a body which then finds a mistake, and has made nothing else, goes
    again.

    Args:
      data: a source, see ``open_source``.
      home: where the results go; nobody else may be writing there.
      labels: values of ``--label``, of a video or a folder of frames.
      labelled: see ``export_at``.
      dry_run: import to a folder that goes again, unless ``home`` has it.
      shared: other processes do the same: one imports and the others wait for it.
      flag: that gave ``home``, for messages.
      name: see ``export_at``.
      say: is told what was done, in a line.

    Raises:
      UserError: as ``export_at`` and ``import_project``; another run writes to ``home``.
    """
    if not export_at(data, home, labels, labelled=labelled, name=name):
        yield data
        return
    source, folder = Path(data), home / name
    check_output(home, source if source.is_dir() else None)
    with contextlib.ExitStack() as stack:
        if _is_current(folder, source, labels):
            say(f"{folder} is what was imported from {source}, which has not changed.")
        elif dry_run:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="wrp-dry-run-"))
            folder = Path(temporary) / name
            _import(source, folder, labels)
        else:
            if not shared:
                stack.enter_context(_removed_after_a_mistake(folder))
            _import_once(source, folder, labels, shared=shared, flag=flag, say=say)
        yield str(folder)


@contextlib.contextmanager
def imported_list(
    spec: str, home: Path, name: str, *, flag: str, say: Callable[[str], None]
) -> Iterator[str]:
    """``SOURCE`` or ``SOURCE:LIST`` with the folder that the source has been imported to.

    Args:
      spec: see ``known_labels.split_list``.
      home: see ``imported``.
      name: see there.
      flag: see there.
      say: see there.

    Raises:
      UserError: see there.
    """
    source, path = split_list(spec)
    with imported(source, home, flag=flag, name=name, say=say) as found:
        if found == source:
            yield spec
        else:
            yield found if path is None else f"{found}:{path}"


def _has_our_layout(root: Path, *, labelled: bool) -> bool:
    """Whether it is a folder that is read as it is, as far as its folders tell."""
    try:
        own = (root / "frames").is_dir()
        if not own and not any((path / "frames").is_dir() for path in root.iterdir()):
            return False
    except OSError:
        return True  # whose reader says what is wrong
    places = (root, root.resolve().parent) if own else (root,)
    return not labelled or any((place / label_maps.CLASSES_FILE).is_file() for place in places)


def _import_once(
    source: Path,
    folder: Path,
    labels: Sequence[str],
    *,
    shared: bool,
    flag: str,
    say: Callable[[str], None],
) -> None:
    writer, waits = merging_writer if shared else sole_writer, False
    while True:
        try:
            with writer(folder.parent, flag):  # a run that is at work reads what is there
                if not _is_current(folder, source, labels):
                    say(_import(source, folder, labels))
                return
        except HeldElsewhereError:
            if not shared:
                raise
            interrupts.check()
            if _is_current(folder, source, labels):
                return
            if not waits:
                waits = True
                say(f"waiting until another process has imported {source}")
            time.sleep(_POLL_SECONDS)


def _import(source: Path, folder: Path, labels: Sequence[str]) -> str:
    made_from = _made_from(source, labels)  # before it is read: it may change meanwhile
    with contextlib.suppress(FileNotFoundError):
        (folder / _SOURCE_FILE).unlink()
    try:
        said = import_project(source, folder, labels=labels)
    except HeldElsewhereError:
        raise
    except UserError as error:
        if not _FLAGS_OF_IMPORT.search(str(error)):
            raise
        command = f"'wrp import {shlex.quote(str(source))} D'"
        raise UserError(f"{error} It is a flag of {command}; then give --data=D.") from error
    text = json.dumps({"made_from": made_from}) + "\n"
    write_atomically(folder / _SOURCE_FILE, text.encode())
    return said


def _is_current(folder: Path, source: Path, labels: Sequence[str]) -> bool:
    """Whether a folder is a finished import of a source as it is now, and nothing of it is gone."""
    try:
        stored = read_json(folder / _SOURCE_FILE)["made_from"]
    except (UserError, ValueError, TypeError, KeyError):
        return False
    return stored == _made_from(source, labels) and all(
        map(os.path.exists, Records(folder).files())
    )


def _made_from(source: Path, labels: Sequence[str]) -> str:
    """A fingerprint of names, sizes and times of change of all that an import reads."""
    with open_tree(source) as tree:
        files = {name: tree.origin(name) for name in tree.files if source.is_dir()}
    files |= {"": source} if source.is_file() else {}
    for text in labels:
        path = parse_label(text).path
        files |= {text: path, f"{text} classes": path.parent / label_maps.CLASSES_FILE}
    facts = {name: _facts(path) for name, path in files.items()}
    return fingerprint(RESULT_VERSION, str(source.resolve()), facts)


def _facts(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _removed_after_a_mistake(folder: Path) -> Iterator[None]:
    """Takes away what is imported now where the body refuses to go on and has made nothing else."""
    home = folder.parent
    before, was_there = _names(home), home.exists()
    try:
        yield
    except UserError:
        if folder.name not in before and _names(home) - {folder.name} == before:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                if not was_there:
                    home.rmdir()
        raise


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()} - {LOCK_FILE}
    except OSError:
        return set()
