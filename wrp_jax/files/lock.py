"""One process at a time writes to a folder, and only there.

``fcntl`` rather than the library ``filelock``: that leaves its file in the folder, which then is
never empty, and where the file system knows no locks it makes a file that a killed run leaves
behind as a lock. Where there is no ``fcntl`` (Windows) no lock is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrp_jax.files.remote import refuse_address
from wrp_jax.machine import cannot_write
from wrp_jax.types import MachineError, OutputError, UserError

try:
    import fcntl
except ImportError:
    fcntl: Any = None

LOCK_FILE = ".lock"
TEMPORARY = re.compile(r"\.wrp-[0-9a-f]{16}\.tmp")
"""Names of files that are not complete yet, see ``atomic``."""

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

_held: dict[Path, tuple[int, str]] = {}
"""By folder the handle of the lock that this process holds there, and ``flag=folder``."""


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
      UserError: another process holds it, it cannot be written, or it is an address, such as
        ``gs://bucket/run``.
      MachineError: the disk is full; or the folder was removed or emptied while the body ran.
    """
    refuse_address(directory, flag)
    path, made = directory / LOCK_FILE, []
    place = Path(os.path.abspath(directory))
    try:
        check_place(path)
        made = [p for p in (directory, *directory.parents) if not p.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        handle = _locked(path)
    except BlockingIOError:
        raise UserError(
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
        _remove_leftovers(directory)
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
            if _is_ours(path, handle):
                path.unlink()  # before the lock goes: nobody else can hold this file
            for folder in made if failed else ():
                folder.rmdir()
        os.close(handle)


def check_place(path: Path) -> None:
    """Refuses to write a file of a held folder anywhere else; elsewhere all is left to the caller.

    Args:
      path: of the file or folder to be.

    Raises:
      MachineError: the folder that this process holds is gone, or another stands in its place.
      UserError: a folder between the held one and the file is a link.
    """
    full = Path(os.path.abspath(path))
    held = next((folder for folder in full.parents if folder in _held), None)
    if held is None:
        return
    _check_held(held)
    for folder in full.parents[: len(full.parents) - len(held.parents) - 1]:
        if folder.is_symlink():
            raise OutputError(
                f"{folder} is a link: results are written into {held} itself; remove the link, or "
                "give another folder."
            )


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


def _remove_leftovers(directory: Path) -> None:
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


def _locked(path: Path) -> int:
    """A handle of the file that holds its lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o666)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return handle
            os.close(handle)
            raise
        if _is_ours(path, handle):
            return handle
        os.close(handle)  # it was removed by the run before, between our two calls
