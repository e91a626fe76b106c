"""One process at a time writes to a folder, and only there; or several that share the work.

``fcntl`` rather than the library ``filelock``: that leaves its file in the folder, which then is
never empty, and where the file system knows no locks it makes a file that a killed run leaves
behind as a lock. Where there is no ``fcntl`` (Windows) no lock is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wrp_jax import interrupts
from wrp_jax.files.regular import read_bytes
from wrp_jax.files.remote import refuse_address
from wrp_jax.machine import cannot_write
from wrp_jax.types import MachineError, OutputError, UserError

try:
    import fcntl
except ImportError:
    fcntl: Any = None

LOCK_FILE = ".lock"
SHARDS_FOLDER = ".shards"
"""What the processes that share a folder have there, until their work is merged: ``shards``."""
TEMPORARY = re.compile(r"\.wrp-[0-9a-f]{16}\.tmp")
"""Names of files that are not complete yet, see ``atomic``."""

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MERGING = b"merging"
"""In the lock file of a process that others of the same job wait for."""
_PATIENCE, _POLL_SECONDS = 3.0, 0.05

_held: dict[Path, tuple[int, str]] = {}
"""By folder the handle of the lock that this process holds there, and ``flag=folder``."""


class HeldElsewhereError(UserError):
    """Another process writes to the folder."""


@contextlib.contextmanager
def sole_writer(directory: Path, flag: str) -> Iterator[None]:
    """Keeps every other process out of a folder while the body runs.

    The kernel gives the lock back when the process ends, however it ends: a ``.lock`` file that
    a killed run has left does no harm, and half-written files that it has left are removed. Where
    the file system knows no locks none is taken. A folder that was made here and is empty when the
    body fails goes again.

    Args:
      directory: the folder; made if missing.
      flag: name of the flag that gave it, for the message.

    Raises:
      HeldElsewhereError: another process holds it.
      UserError: it cannot be written, or is an address, such as ``gs://bucket/run``.
      MachineError: the disk is full; or the folder was removed or emptied while the body ran.
    """
    with _holding(directory, flag, _take_alone):
        remove_leftovers(directory)
        yield


@contextlib.contextmanager
def merging_writer(directory: Path, flag: str) -> Iterator[None]:
    """As ``sole_writer``, for what one of the processes of ``shared_writer`` does for all.

    They wait for the end of the body instead of being refused. Half-written files stay: where
    locks do not reach other machines, others may still be writing them.
    """
    with _holding(directory, flag, _take_to_merge):
        yield


@contextlib.contextmanager
def shared_writer(directory: Path, flag: str) -> Iterator[None]:
    """Shares a folder with other processes that do so; keeps those of ``sole_writer`` out.

    The processes must not write the same files. See ``sole_writer`` for arguments and errors.
    """
    with _holding(directory, flag, _take_shared):
        yield


@contextlib.contextmanager
def _holding(directory: Path, flag: str, take: Callable[[Path], int]) -> Iterator[None]:
    refuse_address(directory, flag)
    path, made = directory / LOCK_FILE, []
    place = Path(os.path.abspath(directory))
    try:
        check_place(path)
        made = [p for p in (directory, *directory.parents) if not p.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        handle = take(path)
    except BlockingIOError:
        raise HeldElsewhereError(
            f"{flag}={directory} is being written by another run: wait until that has ended, or "
            "give another folder."
        ) from None
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"{flag}={directory} cannot be made: there is a file in its place; give a folder."
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path} is a link: remove it.") from None
        raise cannot_write(path, error) from error
    failed = True
    _held[place] = handle, f"{flag}={directory}"
    try:
        yield
        _check_held(place)
        failed = False
    except Exception as error:  # of whatever kind, where it comes from the folder's removal
        if not isinstance(error, MachineError):
            _check_held(place, error)
        raise
    finally:
        _held.pop(place, None)
        with contextlib.suppress(OSError):
            # Before the lock goes: nobody else can hold this file. Those who share the folder
            # leave it to the last of them, who merges: a lock may reach no further than its
            # machine, and others then still look for their file.
            shared = take is _take_shared or (directory / SHARDS_FOLDER).exists()
            if _is_ours(path, handle) and not shared:
                path.unlink()
            for folder in made if failed else ():
                folder.rmdir()
        os.close(handle)


def is_merged_now(directory: Path) -> bool:
    """Whether the process that holds a folder does what others wait for, see ``merging_writer``."""
    with contextlib.suppress(UserError):  # there is no such file
        return read_bytes(directory / LOCK_FILE) == _MERGING
    return False


def check_place(path: Path) -> None:
    """Refuses to write a file of a held folder anywhere else; elsewhere all is left to the caller.

    Args:
      path: of the file or folder to be.

    Raises:
      MachineError: the folder that this process holds is gone, or another stands in its place.
      UserError: a folder between the held one and the file is a link.
    """
    held, below = _held_folder(path)
    if held is None:
        return
    _check_held(held)
    for folder in below:
        if folder.is_symlink():
            raise OutputError(
                f"{folder} is a link: results are written into {held} itself; remove the link, or "
                "give another folder."
            )


def make_folder_of(path: Path) -> None:
    """Makes the folders above a file; a held folder that is gone is not made again.

    Raises:
      OSError: as ``Path.mkdir``; ``FileNotFoundError`` where a held folder is gone.
    """
    held, below = _held_folder(path)
    if held is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    for folder in reversed(below):
        folder.mkdir(exist_ok=True)


def _held_folder(path: Path) -> tuple[Path | None, list[Path]]:
    """The folder above a file that this process holds, and those between, the lowest first."""
    folders = list(Path(os.path.abspath(path)).parents)
    place = next((i for i, folder in enumerate(folders) if folder in _held), None)
    return (None, []) if place is None else (folders[place], folders[:place])


def _check_held(place: Path, error: Exception | None = None) -> None:
    handle, given = _held[place]
    if not _is_ours(place / LOCK_FILE, handle):
        raise MachineError(
            f"{given} was removed or emptied while this run was writing to it: run the same "
            "command again to make what is missing."
        ) from error


def _is_ours(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def remove_leftovers(directory: Path) -> None:
    """Removes what killed runs have half written: nobody else writes here now.

    Folders below that have a lock of their own are left to who takes it.
    """
    for folder, inside, files in os.walk(directory):
        if Path(folder) != directory and LOCK_FILE in files:
            inside.clear()
            continue
        for name in filter(TEMPORARY.fullmatch, files):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def _take_alone(path: Path) -> int:
    handle = _locked(path)
    os.ftruncate(handle, 0)
    return handle


def _take_to_merge(path: Path) -> int:
    handle = _locked(path)
    os.write(handle, _MERGING)
    return handle


def _take_shared(path: Path) -> int:
    """Waits for those who merge, and for a moment for anybody: they may be about to say so."""
    since = time.monotonic()
    while True:
        try:
            handle = _locked(path, shared=True)
        except BlockingIOError:
            interrupts.check()
            if is_merged_now(path.parent):
                since = time.monotonic()
            if time.monotonic() - since > _PATIENCE:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            os.ftruncate(handle, 0)  # what a killed one has left: nobody merges now
            return handle


def _locked(path: Path, *, shared: bool = False) -> int:
    """A handle of the file that holds its lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o666)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return handle
            os.close(handle)
            raise
        if _is_ours(path, handle):
            return handle
        os.close(handle)  # it was removed by the run before, between our two calls
