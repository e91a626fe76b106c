"""Opens regular files only: a pipe waits for ever, and a device may act when it is opened."""

from __future__ import annotations

import hashlib
import io
import os
import stat

from wrp_jax.types import UserError

MAX_BYTES = 2**30
"""More than any picture or flow takes that is read; longer files are refused unread."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# A pipe that takes a file's place between the two looks is not waited for.
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
)


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Opens a file for reading; every file that the program is given is opened here.

    Raises:
      UserError: there is no such file, it may not be read, or it is a folder, pipe, socket or
        device.
    """
    try:
        _require_regular(path, os.stat(path).st_mode)
        handle = os.open(path, _FLAGS)
        try:
            _require_regular(path, os.fstat(handle).st_mode)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # a null byte in the name
        raise UserError(f"{os.fspath(path)!r} cannot be read: {error}.") from error


def file_size(file: io.BufferedReader) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def read_bytes(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file.

    Args:
      path: the file.
      limit: bytes that it may have.

    Raises:
      UserError: as ``open_regular``, or the file is longer.
    """
    with open_regular(path) as file:
        size = file_size(file)
        if size > limit:
            raise UserError(
                f"{path} has {size} bytes and may have {limit}: it is not what it is taken for."
            )
        try:
            return file.read(size)  # a file that grows meanwhile ends here
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def sha256(path: str | os.PathLike[str]) -> bytes:
    """The digest of a regular file of any length.

    Raises:
      UserError: as ``open_regular``.
    """
    with open_regular(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def _require_regular(path: str | os.PathLike[str], mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        raise UserError(f"{path} is {kind}: give a regular file, with its content saved in it.")
