"""Files that appear only when they are complete."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from wrp_jax.types import UserError


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that is either not there or complete, whatever happens meanwhile.

    Raises:
      UserError: no permission, no space, a file in the place of a directory.
    """
    # One name per target: what a killed run leaves behind is overwritten by the next.
    temporary = path.parent / f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def sync_directory(path: Path) -> None:
    """Makes renames in a directory last; some network file systems cannot, which is ignored."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
