"""Digests of files by their content, of those alone that have changed since the last look.

Git's index does the same: a file of the size, times and inode that it had is the file that it was.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import MAX_BYTES, sha256
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import UserError

DIGESTS_FILE = ".digests.json"
"""Beside the results. It may be removed at any time: the files are read again then."""

_SETTLED = 2 * 10**9
"""Nanoseconds. A file that was written less long ago may be written again within the same tick of
the file system's clock (two seconds on FAT) and then look as it did."""

_Facts = list[int]  # size, times of content and of inode in nanoseconds, inode


class FileDigests:
    """SHA-256 of files, remembered from one run to the next."""

    def __init__(self, *paths: Path):
        """Reads what was remembered; what is damaged counts as nothing.

        Args:
          *paths: of the memory, see ``DIGESTS_FILE``, and of others that are read alone; without
            any, none is kept.
        """
        self._path = paths[0] if paths else None
        self._known: dict[str, tuple[_Facts, str]] = {}
        for path in reversed(paths):
            self._known |= _read(path)
        self._new = len(paths) > 1

    def of(self, path: str | os.PathLike[str], status: os.stat_result | None = None) -> str:
        """The digest of a regular file, hexadecimal. Unchanged files are not opened.

        Args:
          path: the file.
          status: of the file, if that is known.

        Raises:
          UserError: there is no such file, or it cannot be read.
        """
        key = os.path.abspath(path)
        facts = _facts(key) if status is None else _facts_of(status)
        known = self._known.get(key)
        if known is not None and facts is not None and known[0] == facts:
            return known[1]
        digest = sha256(path).hex()
        if facts is not None and facts == _facts(key) and time.time_ns() - facts[1] > _SETTLED:
            self._known[key] = facts, digest
            self._new = True
        elif self._known.pop(key, None):
            self._new = True
        return digest

    def save(self) -> None:
        """Writes down what was learnt, if anything.

        Raises:
          UserError, MachineError: see ``write_atomically``.
        """
        if self._path is None or not self._new:
            return
        content = {key: [*facts, digest] for key, (facts, digest) in self._known.items()}
        write_atomically(self._path, json.dumps(content, separators=(",", ":")).encode())
        self._new = False


def _facts(path: str) -> _Facts | None:
    try:
        return _facts_of(os.stat(path))
    except (OSError, ValueError):
        return None


def _facts_of(status: os.stat_result) -> _Facts:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(path: Path) -> dict[str, tuple[_Facts, str]]:
    if path.is_symlink():
        return {}
    try:
        content = read_json(path, limit=MAX_BYTES)
        return {
            key: ([int(fact) for fact in entry[:4]], _digest(entry[4]))
            for key, entry in content.items()
        }
    except (UserError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return {}


def _digest(text: str) -> str:
    if len(text) != 64:
        raise ValueError("no digest")
    bytes.fromhex(text)
    return text
