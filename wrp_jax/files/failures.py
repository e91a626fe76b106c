"""``failures.jsonl``: the parts of a run that failed, each with its reason; the others go on.

What can only be found when a file is decoded (a JPEG with a damaged middle, a flow whose vectors
are NaN) spoils the part that reads it alone. A mistake in options, a place that cannot be written
to, the machine and a stop are no fault of a part: they end the run.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import check_place
from wrp_jax.files.regular import MAX_BYTES, read_bytes
from wrp_jax.files.shards import WHOLE, Shard, shard_homes
from wrp_jax.files.strict_json import parse_json
from wrp_jax.types import OutputError, UserError

FAILURES_FILE = "failures.jsonl"

_log = logging.getLogger(__name__)


class Failures:
    """The failed parts of an output: windows, or what else a command makes one by one.

    The file holds one JSON object per line: the fields that name the part, and ``reason``. A
    window is named by ``sequence`` and ``labelled``, and ``frame`` says whose file could not be
    read (null where that is not known); of predictions a frame fails alone (``sequence``,
    ``frame``), of flow a sequence. What an earlier run has listed stays until the part succeeds.
    """

    def __init__(self, output: Path, shard: Shard = WHOLE, *, fail_fast: bool = False):
        """Reads what earlier runs have left.

        Args:
          output: the output folder.
          shard: whose parts they are; the only one reads the lists of shards before it, too.
          fail_fast: ends the run at the first failure instead.
        """
        home = shard.home(output)
        self._path, self._fail_fast = home / FAILURES_FILE, fail_fast
        self._entries: dict[str, dict[str, Any]] = {}
        for place in (home, *shard_homes(home)):
            for entry in _read(place / FAILURES_FILE):
                self._entries[_key(entry)] = entry

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, part: dict[str, str]) -> bool:
        return _key(part) in self._entries

    @property
    def path(self) -> Path:
        """Of the file, which is there while anything is listed."""
        return self._path

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, of each failed part."""
        return tuple(str(entry["reason"]) for entry in self._entries.values())

    @contextlib.contextmanager
    def of(self, **part: str) -> Iterator[None]:
        """Lists the part if an input makes the body fail, and goes on behind it.

        Args:
          **part: what names it, e.g. ``sequence`` and ``labelled``.

        Raises:
          UserError: of the body, with ``fail_fast``.
          OutputError: of the body, as everything else that is no fault of an input.
        """
        try:
            yield
        except OutputError:
            raise
        except UserError as error:
            if self._fail_fast:
                raise
            reason = str(error)
            _log.error("%s failed: %s", " ".join(part.values()), reason)
            where = {"frame": error.frame} if "labelled" in part else {}
            entry = {**part, **where, "reason": reason}
            self._entries[_key(entry)] = entry
            self._write()

    def keep_only(self, parts: Iterable[dict[str, str]]) -> None:
        """Puts the list in this order; what the input does not have any more goes."""
        keys = [key for key in dict.fromkeys(map(_key, parts)) if key in self._entries]
        if keys != list(self._entries):
            self._entries = {key: self._entries[key] for key in keys}
            self._write()

    def save(self) -> None:
        """Writes the list, with what shards have listed; equal lists have equal files."""
        if self._entries or self._path.exists():
            self._write()

    def succeeded(self, **part: str) -> None:
        """Takes the part off the list."""
        if self._entries.pop(_key(part), None) is not None:
            self._write()

    def _write(self) -> None:
        if self._entries:
            lines = [json.dumps(entry, ensure_ascii=False) for entry in self._entries.values()]
            text = "".join(f"{line}\n" for line in lines)
            # Names of files that are no UTF-8 stand in reasons with \udc80 and so on.
            write_atomically(self._path, text.encode("utf-8", "backslashreplace"))
        else:
            check_place(self._path)
            self._path.unlink(missing_ok=True)


def _key(entry: dict[str, Any]) -> str:
    # The frame names the part itself, or says where a window is damaged.
    more = {"reason", "frame"} if "labelled" in entry else {"reason"}
    named = {k: v for k, v in entry.items() if k not in more}
    return json.dumps(named, sort_keys=True)


def _read(path: Path) -> list[dict[str, Any]]:
    """The entries; a file that is no such list counts as none: it is written anew."""
    try:
        entries = [parse_json(line) for line in read_bytes(path, MAX_BYTES).splitlines()]
        return [{**entry, "reason": entry["reason"]} for entry in entries]
    except (UserError, ValueError, TypeError, LookupError):
        return []
