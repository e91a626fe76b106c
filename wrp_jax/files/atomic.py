"""Files that appear only when they are complete."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from wrp_jax.files.lock import check_place, make_folder_of
from wrp_jax.machine import cannot_write

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NEW |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that is either not there or complete, whatever happens meanwhile.

    A link in its place is replaced, not followed.

    Raises:
      UserError: no permission, a file or a link in the place of a directory.
      MachineError: no space; or see ``lock.check_place``.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file for the body to fill, which then takes the place of ``path``.

    Nobody can know its name before, and no file or link of that name is there. It goes if the body
    fails; ``lock.sole_writer`` removes those of killed runs.

    Raises:
      UserError, MachineError: see ``write_atomically``; an ``OSError`` of the body is one too.
    """
    check_place(path)
    temporary = path.parent / f".wrp-{secrets.token_hex(8)}.tmp"
    try:
        make_folder_of(path)
        os.close(os.open(temporary, _NEW, 0o666))
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        check_place(path)  # it may have gone meanwhile
        raise cannot_write(path, error) from error


def sync_directory(path: Path) -> None:
    """Makes renames in a directory last; some file systems cannot, which is ignored."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
