"""One process at a time writes to a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from wrp_jax.types import UserError

LOCK_FILE = ".lock"
_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@contextlib.contextmanager
def sole_writer(directory: Path, flag: str) -> Iterator[None]:
    """Keeps every other process out of a folder while the body runs.

    The kernel gives the lock back when the process ends, however it ends: a ``.lock`` file that
    a killed run has left does no harm. Where the file system knows no locks none is taken. A
    folder that was made here and is empty when the body fails goes again.

    Args:
      directory: the folder; made if missing.
      flag: name of the flag that gave it, for the message.

    Raises:
      UserError: another process holds it, or it cannot be written.
    """
    path = directory / LOCK_FILE
    made: list[Path] = []
    try:
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
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
    failed = True
    try:
        yield
        failed = False
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # before the lock goes: nobody else can hold this file
            for folder in made if failed else ():
                folder.rmdir()
        os.close(handle)


def _locked(path: Path) -> int:
    """A handle of the file that holds its lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return handle
            os.close(handle)
            raise
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # it was removed by the run before, between our two calls
