"""Local copies of what lies at addresses such as ``gs://bucket/run``.

An object store has no renames, no locks and no growing files, and array_record, OpenCV and the
checksums of records want files. So a command works on a copy on the local disk, as on any folder,
and ``object_store`` alone speaks to the store:

- before the command, what is new or has changed at the address comes into the copy (``fetch``);
- while it works and after it, whatever its exit code, what is new or has changed in the copy of a
  folder that is written goes to the address (``send``): first what says whose the folder is, then
  the results, then the records. A folder that was sent halfway is like one that a killed run has
  left: records tell what is missing, checkpoints are verified, and the same command goes on.

An index beside the copy says what of each file was there and here when the two were the same. Files
that other machines have put there meanwhile are left alone. ``WRP_JAX_COPIES`` says where copies
lie; they may be removed at any time once they are sent.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wrp_jax import interrupts
from wrp_jax.files.atomic import replacing, write_atomically
from wrp_jax.files.digests import DIGESTS_FILE
from wrp_jax.files.lock import LOCK_FILE, TEMPORARY, HeldElsewhereError, sole_writer
from wrp_jax.files.object_store import Facts, ObjectStore
from wrp_jax.files.regular import MAX_BYTES, open_regular, read_bytes
from wrp_jax.files.remote import replace_addresses
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import MachineError, UserError

PLACE = "WRP_JAX_COPIES"
"""Environment variable: the folder of all copies; ``~/.cache/wrp_jax/copies`` if absent."""
SECONDS = 30.0
"""Between one look at what is to be sent and the next."""

_THREADS = 16
_SETTLED = 2
"""Seconds. Stores tell times in whole ones: what changes twice within one may look as it did."""
_UNFINISHED = ".orbax-checkpoint-tmp"
_STAYS_HERE = frozenset({LOCK_FILE, DIGESTS_FILE})
_TFDS = re.compile(r"tfds:(?P<name>[^:@]+):[^@]*@(?P<address>[a-z0-9]+://.*)")
_log = logging.getLogger(__name__)


class Copy:
    """The local copy of one folder or file at an address.

    Attributes:
      address: without a slash at its end.
      path: of the copy. It is there after ``fetch`` if there is anything at the address.
      written: whether the command may change it.
      sent: how many files were sent so far.
    """

    def __init__(self, address: str, *, written: bool, below: str = ""):
        """Touches nothing.

        Args:
          address: ``gs://bucket/folder`` or of a file.
          written: see ``Copy``.
          below: part of the address alone that is copied, such as one data set of many.
        """
        self.address, self.written, self._below = address, written, below
        self.sent = 0
        digest = hashlib.sha256(f"{address} {below}".encode()).hexdigest()[:8]
        words = re.sub(r"[^A-Za-z0-9]+", "-", f"{address}/{below}").strip("-")[-60:]
        self._home = _place() / f"{words}-{digest}"
        self.path = self._home / "data" / address.rsplit("/", 1)[-1]
        self._index = self._home / "state" / "index.json"
        self._store = ObjectStore(self._whole)

    def fetch(self, *, may_be_missing: bool = False) -> None:
        """Brings what is new or has changed at the address.

        Files of a folder that is written stay as they are here where a run that was killed has
        changed them and not sent them, and they are as they were at the address.

        Args:
          may_be_missing: there need not be anything yet.

        Raises:
          UserError: there is nothing at the address, or it may not be read.
          MachineError: the store does not answer; the disk is full.
        """
        with self._alone() as index, concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            there = {
                name: facts
                for name, facts in self._store.listed(pool).items()
                if not any(map(_stays, name.split("/")))
            }
            if not there and not may_be_missing:
                raise UserError(f"there is nothing at {self._whole}: correct the address.")
            here = self._here()
            wanted = [n for n, facts in there.items() if not self._same(n, facts, index, here)]
            if wanted:
                size = sum(there[name][0] for name in wanted)
                _say(f"copying {_count(wanted, size)} from {self._whole} to {self._root}")
            with _done_in_turn(pool, self._bring, wanted) as brought:
                for name in brought:
                    interrupts.check()
                    facts = there[name]
                    settled = 0 < facts[1] < time.time() - _SETTLED
                    local = _facts(self._local(name)) or (0, 0)
                    index[name] = (facts[0], facts[1] if settled else 0, *local)
            for name in [name for name in {*index, *here} if name not in there]:
                entry = index.pop(name, None)
                unchanged = entry is not None and entry[2:] == here.get(name)
                if name in here and (unchanged or not self.written):
                    self._drop(self._local(name))

    def send(self, *, remove: bool = False) -> None:
        """Sends what is new or has changed here.

        Args:
          remove: also removes at the address what was here and is gone; not where nothing is left.

        Raises:
          UserError: the address may not be written.
          MachineError: the store does not answer.
        """
        with self._alone() as index, concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            here = self._here()
            wanted = [name for name, facts in here.items() if index.get(name, ())[2:] != facts]
            for names in _order(wanted):
                with _done_in_turn(pool, self._put, names) as put:
                    for name, facts in put:
                        if facts is not None:  # else it is gone meanwhile
                            index[name] = (*facts, *here[name])
                            self.sent += 1
            for name in [name for name in index if remove and here and name not in here]:
                self._store.remove(name)
                del index[name]

    @property
    def _whole(self) -> str:
        return f"{self.address}/{self._below}" if self._below else self.address

    @property
    def _root(self) -> Path:
        return self.path / self._below if self._below else self.path

    def _local(self, name: str) -> Path:
        return self._root / name if name else self._root

    def _same(self, name: str, facts: Facts, index: dict[str, Any], here: dict[str, Facts]) -> bool:
        """Whether a file need not come: it is as it was, there and here, or changed here alone."""
        entry, local = index.get(name, ()), here.get(name)
        as_it_was = entry[:2] == facts and facts[1] > 0
        return as_it_was and local is not None and (self.written or entry[2:] == local)

    def _here(self) -> dict[str, Facts]:
        """The files of the copy that are complete, by name; links are none."""
        if self._root.is_file():
            facts = _facts(self._root)
            return {} if facts is None else {"": facts}
        found = {}
        for folder, inside, files in os.walk(self._root):
            inside[:] = [name for name in inside if not _stays(name)]
            for name in files:
                path = Path(folder, name)
                facts = None if _stays(name) or path.is_symlink() else _facts(path)
                if facts is not None:
                    found[path.relative_to(self._root).as_posix()] = facts
        return found

    def _drop(self, path: Path) -> None:
        """Removes a file, and the folders that it leaves empty: a store has none either."""
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for folder in path.parents:
                if folder == self._home:
                    break
                folder.rmdir()

    def _bring(self, name: str) -> str:
        with replacing(self._local(name)) as temporary, temporary.open("wb") as file:
            self._store.read(name, file)
        return name

    def _put(self, name: str) -> tuple[str, Facts | None]:
        try:
            source = open_regular(self._local(name))
        except UserError:
            return name, None
        with source:
            return name, self._store.write(name, source)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[dict[str, tuple[int, ...]]]:
        """The index, while no other process of this machine works on the copy; saved at the end."""
        # Who was told to stop before still sends what is left; another signal ends that at once.
        told_before = interrupts.requested() is not None
        with contextlib.ExitStack() as stack:
            while True:
                with contextlib.suppress(HeldElsewhereError):
                    stack.enter_context(sole_writer(self._index.parent, PLACE))
                    break
                if not told_before:
                    interrupts.check()
                time.sleep(0.1)
            index: dict[str, tuple[int, ...]] = {}
            with contextlib.suppress(UserError, ValueError, TypeError, AttributeError, KeyError):
                files = read_json(self._index, limit=MAX_BYTES)["files"]
                index = {name: tuple(map(int, entry)) for name, entry in files.items()}
            before = dict(index)
            try:
                yield index
            finally:
                if index != before or not self._index.exists():
                    content = {"address": self._whole, "files": index}
                    write_atomically(self._index, json.dumps(content).encode())


class Copies:
    """The copies of one command. ``copies_of_addresses`` makes one."""

    def __init__(self) -> None:
        self._copies: dict[tuple[str, str], Copy] = {}  # by address and part of it
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def local(self, text: str, flag: str, *, written: bool = False, beside: str = "") -> str:
        """The value of a flag with local copies in the place of addresses, which are fetched.

        Args:
          text: the value; unchanged where it holds no address.
          flag: for messages.
          written: the command may write there, and there need not be anything yet.
          beside: name of a file that is looked for in the folder of a file, and comes with it.

        Raises:
          UserError, MachineError: see ``Copy.fetch``; an address that cannot be read.
        """
        data_set = _TFDS.fullmatch(text)

        def replace(address: str) -> str:
            part = "" if data_set is None else _data_set(address, data_set["name"])
            if (address, part) not in self._copies:
                copy = Copy(address, written=written, below=part)
                copy.fetch(may_be_missing=written)
                self._copies[address, part] = copy
            copy = self._copies[address, part]
            if beside:
                self._bring_beside(copy, beside)
            return os.fspath(copy.path)

        replaced = replace_addresses(text, flag, replace)
        if self._thread is None and any(copy.written for copy in self._copies.values()):
            self._thread = threading.Thread(target=self._send_now_and_then, daemon=True)
            self._thread.start()
        return replaced

    def _bring_beside(self, copy: Copy, name: str) -> None:
        """Puts the file of this name in the folder of another beside the copy of that one."""
        other = Copy(f"{copy.address.rpartition('/')[0]}/{name}", written=False)
        other.fetch(may_be_missing=True)
        target = copy.path.with_name(name)
        if other.path.is_file():
            write_atomically(target, read_bytes(other.path))
        else:
            target.unlink(missing_ok=True)

    def address_of(self, path: str | os.PathLike[str]) -> str | None:
        """The address of which a path is the local copy; None where it is none."""
        found = (c.address for c in self._copies.values() if c.path == Path(path))
        return next(found, None)

    def given(self, text: str) -> str:
        """A value of ``local`` as it was given, with addresses in the place of copies."""
        for copy in self._copies.values():
            text = text.replace(os.fspath(copy.path), copy.address)
        return text

    def close(self, *, done: bool) -> None:
        """Sends what is left.

        Args:
          done: the command has ended well: what it has removed is removed at the address too.

        Raises:
          UserError, MachineError: see ``Copy.send``; all stays in the copies.
        """
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        for copy in self._copies.values():
            if copy.written:
                copy.send(remove=done)
                if copy.sent:
                    _say(f"{copy.address} has what was made here in {copy.path}")

    def _send_now_and_then(self) -> None:
        wait = SECONDS
        while not self._done.wait(wait):
            start = time.monotonic()
            for copy in tuple(self._copies.values()):
                try:
                    if copy.written:
                        copy.send()
                except (UserError, MachineError) as error:
                    _log.warning("%s It is tried again.", error)
            wait = max(SECONDS, 10 * (time.monotonic() - start))


_open = Copies()
"""Of the command that runs."""


@contextlib.contextmanager
def copies_of_addresses() -> Iterator[None]:
    """While the body runs ``local_copy`` makes copies; at its end what it has written is sent.

    Raises:
      UserError, MachineError: see ``Copies.close``; what the body raises goes before.
    """
    global _open
    _open = Copies()
    try:
        yield
    except BaseException:
        try:
            _open.close(done=False)
        except (UserError, MachineError) as error:
            _log.warning("%s", error)
        raise
    _open.close(done=True)


def local_copy(text: str, flag: str, *, written: bool = False, beside: str = "") -> str:
    """See ``Copies.local``."""
    return _open.local(text, flag, written=written, beside=beside)


def with_local_copies(value: Any, flag: str) -> Any:
    """As ``local_copy``, for all texts in lists and mappings, such as JSON."""
    return _mapped(value, lambda text: local_copy(text, flag))


def with_addresses(value: Any) -> Any:
    """What ``local_copy`` or ``with_local_copies`` was given: the same on whatever machine."""
    return _mapped(value, _open.given)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(inner, change) for inner in value)
    return change(value) if isinstance(value, str) else value


def address_of(path: str | os.PathLike[str]) -> str | None:
    """See ``Copies.address_of``."""
    return _open.address_of(path)


def _data_set(address: str, name: str) -> str:
    """The part of a directory of TFDS data sets that is one of them; all of it if it is one."""
    return "" if ObjectStore(address).has("dataset_info.json") else name


@contextlib.contextmanager
def _done_in_turn(
    pool: concurrent.futures.Executor, call: Callable[[str], Any], names: list[str]
) -> Iterator[Iterator[Any]]:
    """Results of calls in many threads, in order; what has not begun when the body ends is left."""
    waiting = [pool.submit(call, name) for name in names]
    try:
        yield (future.result() for future in waiting)
    finally:
        for future in waiting:
            future.cancel()


def _order(names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """What says whose a folder is, results, records."""
    first = [n for n in names if "/" not in n and n.endswith(".json")]
    last = [n for n in names if n.rsplit("/", 1)[-1].startswith(".records")]
    others = {*first, *last}
    return first, [n for n in names if n not in others], last


def _stays(name: str) -> bool:
    """Whether a file or folder is none of what a command has made: half written, or a lock."""
    return name in _STAYS_HERE or _UNFINISHED in name or bool(TEMPORARY.fullmatch(name))


def _facts(path: Path) -> Facts | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _place() -> Path:
    given = os.environ.get(PLACE)
    if given:
        return Path(given).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return Path(home).expanduser().absolute() / "wrp_jax" / "copies"


def _count(names: list[str], size: int) -> str:
    return f"{len(names)} {'file' if len(names) == 1 else 'files'} ({size / 1e6:.1f} MB)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
