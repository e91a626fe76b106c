"""Which code it was: a digest of the package's own files."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from wrp_jax.files.regular import read_bytes

_PACKAGE = Path(__file__).parents[1]


@functools.cache
def code_digest() -> str:
    """SHA-256 over names and contents of the package's Python files, hexadecimal.

    The same in every checkout and installation of the same code.
    """
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py"), key=lambda path: path.relative_to(_PACKAGE).parts):
        content = read_bytes(path)
        name = path.relative_to(_PACKAGE).as_posix()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
