"""What an output folder remembers of each file in it: what it was made from, and what it was.

One line of JSON per file in ``OUT/.records.jsonl``: the path, a fingerprint of all that the file
was made from, and its digest. A rerun keeps a file where both are what they were; all others are
made again. ``verify`` compares every file with its digest. Each of several processes that share
an output (``shards``) writes records of its own, and all read those of all.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.digests import DIGESTS_FILE, FileDigests
from wrp_jax.files.lock import check_place, make_folder_of
from wrp_jax.files.output import read_run
from wrp_jax.files.regular import MAX_BYTES, read_bytes
from wrp_jax.files.shards import WHOLE, Shard, shard_homes
from wrp_jax.files.strict_json import parse_json
from wrp_jax.machine import cannot_write
from wrp_jax.types import UserError

RECORDS_FILE = ".records.jsonl"

_IN_WORK = ""
"""In the place of a digest: a run is writing, or was killed while it was writing, the file."""
_TOLD = 5  # files that are named one by one
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_APPEND |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_log = logging.getLogger(__name__)


class Records:
    """The records of an output folder.

    Attributes:
      digests: of files, for inputs too.
    """

    def __init__(self, output: Path, shard: Shard = WHOLE):
        """Reads the records that are there; lines that are damaged count as none.

        Args:
          output: the output folder.
          shard: whose work is recorded; what others have recorded is read alone, until the only
            one, which is all, records it.
        """
        self.output, self._home = output, shard.home(output)
        others = shard_homes(output) if shard.is_all else [output]
        self.digests = FileDigests(*(place / DIGESTS_FILE for place in (self._home, *others)))
        self._entries, _ = read_records(output, self.digests)
        own = self._entries if shard.is_all else _read(self._home / RECORDS_FILE)[0]
        self._own = set(own)
        self._spoilt: list[str] = []
        self._outdated: list[str] = []
        self._unfinished: list[str] = []

    def is_current(self, path: Path, made_from: str) -> bool:
        """Whether a file is there as it was written, made from the same.

        Args:
          path: the file, inside of the output.
          made_from: fingerprint of all that it is to be made from.
        """
        name = self._name(path)
        recorded = self._entries.get(name)
        if recorded is None or recorded[0] != made_from:
            if os.path.lexists(path):
                unfinished = recorded is None or recorded[1] == _IN_WORK
                (self._unfinished if unfinished else self._outdated).append(name)
            return False
        fault = fault_of(path, recorded[1], self.digests)
        if fault:
            self._spoilt.append(fault)
        return not fault

    def tell(self) -> None:
        """Says on stderr, once per fault, why files are made again."""
        for fault in self._spoilt[:_TOLD]:
            _log.warning("%s: it is made again", fault)
        if len(self._spoilt) > _TOLD:
            more = len(self._spoilt) - _TOLD
            _log.warning("%d more files of %s were changed or are gone", more, self.output)
        if self._outdated:
            _log.warning(
                "%s: what %d of its files were made from has changed (the first is %s): they are "
                "made again",
                self.output, len(self._outdated), self._outdated[0],
            )  # fmt: skip
        if self._unfinished:
            # A part is recorded once all of its files are there.
            _log.warning(
                "%s: an earlier run was stopped before it had finished the parts that %d files "
                "are of (the first is %s): these parts are made again",
                self.output, len(self._unfinished), self._unfinished[0],
            )  # fmt: skip
        self._spoilt, self._outdated, self._unfinished = [], [], []

    def add(self, made_from: str, paths: Iterable[Path]) -> None:
        """Records files that have just been written.

        Raises:
          UserError, MachineError: the records cannot be written.
        """
        lines = []
        for path in paths:
            name = self._name(path)
            entry = made_from, _content(path, self.digests) or ""
            if self._entries.get(name) != entry or name not in self._own:
                self._entries[name] = entry
                self._own.add(name)
                lines.append(_line(name, entry))
        if lines:
            self._append("".join(lines).encode())

    def begin(self, paths: Iterable[Path]) -> None:
        """Notes of files that are recorded that they are about to be written anew.

        A run that is killed meanwhile has written some of them: nobody else has changed those.

        Raises:
          UserError, MachineError: the records cannot be written.
        """
        names = [name for path in paths if (name := self._name(path)) in self._entries]
        self._entries |= dict.fromkeys(names, ("", _IN_WORK))
        self._own.update(names)
        if names:
            self._append("".join(_line(name, self._entries[name]) for name in names).encode())

    def changed(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Those of the files that somebody has changed since they were written."""
        for path in paths:
            recorded = self._entries.get(self._name(path))
            if recorded is None or recorded[1] == _IN_WORK or path.is_symlink():
                continue
            if _content(path, self.digests) not in ("", None, recorded[1]):
                yield path

    def set_aside(self, path: Path, folder: Path) -> Path:
        """Moves a file to the same place below another folder of the output.

        Args:
          path: the file.
          folder: what is there already stays.

        Returns:
          Where the file is now.

        Raises:
          UserError, MachineError: it cannot be moved there.
        """
        place = folder / path.relative_to(self.output)
        taken = itertools.count(2)
        while os.path.lexists(place):
            place = place.with_name(f"{path.stem}-{next(taken)}{path.suffix}")
        check_place(path)
        check_place(place)
        try:
            make_folder_of(place)
            path.rename(place)
        except OSError as error:
            raise cannot_write(place, error) from error
        return place

    def write(self, made_from: str, path: Path, data: bytes) -> None:
        """Writes a file and records it, but not over one that no run has written.

        Raises:
          UserError: such a file is there, and holds something else.
          UserError, MachineError: it cannot be written.
        """
        unknown = self._name(path) not in self._entries
        # A run that was killed between the two leaves a file that nothing tells of.
        if unknown and path.is_file() and not path.is_symlink() and read_bytes(path) != data:
            raise UserError(
                f"{path} is there already and not of an earlier run: give another output, or move "
                "it away."
            )
        write_atomically(path, data)
        self.add(made_from, [path])

    def remove(self, paths: Iterable[Path]) -> None:
        """Removes files, whoever has written them, and what is recorded of them."""
        for path in paths:
            self._forget(self._name(path))
            self._unlink(path)

    def keep_only(self, paths: Iterable[Path]) -> None:
        """Removes the files of earlier runs that are none of these; says so.

        A file that was changed since it was written is nobody else's to remove: it stays.
        """
        keep = {self._name(path) for path in paths}
        gone = [name for name in self._entries if name not in keep]
        removed = []
        for name in gone:
            path, (_, digest) = self.output / name, self._entries[name]
            self._forget(name)
            content = _content(path, self.digests)
            if content is None:
                continue
            if content != digest and digest != _IN_WORK:
                _log.warning("%s is no part of the result any more and was changed: it stays", path)
                continue
            self._unlink(path)
            removed.append(name)
        if removed:
            more = f" and {len(removed) - 1} more" if len(removed) > 1 else ""
            _log.warning(
                "%s: removed %s%s: no part of the result any more",
                self.output, removed[0], more,
            )  # fmt: skip

    def _forget(self, name: str) -> None:
        self._entries.pop(name, None)
        self._own.discard(name)

    def _unlink(self, path: Path) -> None:
        """Removes a file if it is there, and the folders that it leaves empty.

        A shard leaves folders to who merges: others may be about to write into them.
        """
        check_place(path)
        path.unlink(missing_ok=True)
        if self._home != self.output:
            return
        for folder in path.parents:
            if folder == self.output or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()

    def save(self) -> None:
        """Writes records and digests anew, in order: equal outputs have equal records."""
        path = self._home / RECORDS_FILE
        lines = [_line(name, self._entries[name]) for name in sorted(self._own)]
        content = "".join(lines).encode()
        if path.is_symlink() or not path.is_file() or read_bytes(path) != content:
            write_atomically(path, content)
        self.digests.save()

    def files(self) -> Iterator[Path]:
        """Every file that is recorded."""
        return (self.output / name for name in tuple(self._entries))

    def _name(self, path: Path) -> str:
        # As ``relative_to``, which takes seconds for the files of a long video.
        prefix, name = os.path.join(self.output, ""), os.fspath(path)
        if not name.startswith(prefix):
            raise ValueError(f"{path} is not in {self.output}")
        return name[len(prefix) :].replace(os.sep, "/")

    def _append(self, data: bytes) -> None:
        path = self._home / RECORDS_FILE
        check_place(path)
        try:
            handle = os.open(path, _APPEND, 0o666)
            try:
                while data:
                    data = data[os.write(handle, data) :]
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot_write(path, error) from error


def run_mark(
    output: Path, may_change: Collection[str] = (), run: Mapping[str, Any] | None = None
) -> str:
    """Fingerprint of ``run.json``, for what files of the output are made from; "" without one.

    Args:
      output: the output folder.
      may_change: keys that play no part, see ``output.claim_output``.
      run: what ``run.json`` is going to say, JSON values; None: what it says.
    """
    run = read_run(output) if run is None else run
    if run is None:
        return ""
    return fingerprint({key: value for key, value in run.items() if key not in may_change})


def fingerprint(*parts: object) -> str:
    """One digest of many things, JSON values: names, digests, settings."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def fault_of(path: Path, digest: str, digests: FileDigests) -> str:
    """What is wrong with a file that was written with this digest; empty if nothing is.

    Args:
      path: the file.
      digest: SHA-256 of what was written.
      digests: reads the file, or remembers it.
    """
    content = _content(path, digests)
    if content == digest:
        return ""
    return f"{path} is gone" if content is None else f"{path} was changed after it was written"


def _content(path: Path, digests: FileDigests) -> str | None:
    """The digest of a file or of where a link leads; "" if it cannot be read, None if gone."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return fingerprint("link", os.readlink(path))
        return digests.of(path, status)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (UserError, OSError):
        return ""


def _line(name: str, entry: tuple[str, str]) -> str:
    made_from, digest = entry
    return json.dumps({"file": name, "from": made_from, "sha256": digest}) + "\n"


def read_records(
    output: Path, digests: FileDigests
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """The records of an output and of all its shards, and the places of damaged lines.

    Of a file that several have written, after a split into other shards, the record that fits it.

    Args:
      output: the output folder.
      digests: of its files.

    Returns:
      What each file was made from and its digest, by its name in the output; and ``file:line``.
    """
    # The output's last: where shards are being merged meanwhile, it has all once they are gone.
    paths = [place / RECORDS_FILE for place in (*shard_homes(output), output)]
    found = [(path, *_read(path)) for path in paths]
    entries: dict[str, tuple[str, str]] = {}
    damaged: list[str] = []
    for path, own, lines in reversed(found):
        damaged += [f"{path}:{number}" for number in lines]
        for name, entry in own.items():
            other = entries.setdefault(name, entry) != entry
            if other and _fits(_content(output / name, digests), entry[1], entries[name][1]):
                entries[name] = entry
    return entries, damaged


def _fits(content: str | None, digest: str, other: str) -> bool:
    """Whether one of two records fits a file better: of a file in work the other may be older."""
    return content == digest or (digest == _IN_WORK and content != other)


def _read(path: Path) -> tuple[dict[str, tuple[str, str]], list[int]]:
    """The records by file, the last of each; and the numbers of damaged lines."""
    entries: dict[str, tuple[str, str]] = {}
    damaged: list[int] = []
    if path.is_symlink() or not path.exists():
        return entries, damaged
    for number, line in enumerate(read_bytes(path, MAX_BYTES).split(b"\n"), 1):
        if not line:
            continue
        try:
            record = parse_json(line)
            name, made_from, digest = (record[key] for key in ("file", "from", "sha256"))
            if not all(isinstance(text, str) for text in (name, made_from, digest)):
                raise TypeError
            if Path(name).is_absolute() or ".." in Path(name).parts or not name:
                raise ValueError(name)
        except (ValueError, TypeError, KeyError):
            damaged.append(number)
        else:
            entries[name] = made_from, digest
    return entries, damaged
