"""What is asked of an object store, through ``etils.epath``: list, read, write and remove files.

An object appears whole or not at all, under its last name. There are no folders but in names, no
renames of many at once, no locks, and no file that grows.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
from collections.abc import Iterator
from typing import IO, Any

from wrp_jax import interrupts
from wrp_jax.machine import machine_error
from wrp_jax.types import MachineError, UserError

Facts = tuple[int, int]
"""Bytes of a file, and the time of its last change: seconds in a store, 0 where it tells none;
nanoseconds on a disk."""

_PIECE = 1 << 23


class ObjectStore:
    """One folder or file at an address.

    All methods raise ``UserError`` where the address is wrong, may not be read or written or
    needs a package that is missing, and ``MachineError`` where the store does not answer.
    """

    def __init__(self, address: str):
        """Touches nothing.

        Args:
          address: such as ``gs://bucket/folder``, without a slash at its end.
        """
        self.address = address

    def listed(self, pool: concurrent.futures.Executor) -> dict[str, Facts]:
        """All files below the address by name; ``""`` where it is a file itself; {} for nothing.

        Args:
          pool: for requests at the same time.
        """
        with self._reaching():
            root = self._path("")
            try:
                status = root.stat()
            except FileNotFoundError:
                return {}
            if not status.is_directory:
                return {"": _facts(status)}
            found: dict[str, Facts] = {}
            folders = [("", root)]
            while folders:
                inside = pool.map(lambda folder: list(folder[1].iterdir()), folders)
                entries = [
                    (f"{name}{entry.name}", entry)
                    for (name, folder), entries in zip(folders, inside, strict=True)
                    for entry in entries
                    if entry != folder  # an object of the folder's own name
                ]
                interrupts.check()
                folders = []
                for (name, entry), status in zip(entries, pool.map(_status, entries), strict=True):
                    if entry.name in (".", ".."):
                        raise UserError(f"{entry} is no name for a file: rename it.")
                    if status is None:
                        continue
                    if status.is_directory:
                        folders.append((f"{name}/", entry))
                    else:
                        found[name] = _facts(status)
            return found

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._reaching():
            return self._path(name).exists()

    def read(self, name: str, target: IO[bytes]) -> None:
        """Writes the content of a file into an open one; its own errors are left to the caller."""
        with self._reaching(name):
            source = self._path(name).open("rb")
        with source:
            while True:
                with self._reaching(name):
                    piece = source.read(_PIECE)
                if not piece:
                    return
                target.write(piece)

    def write(self, name: str, source: IO[bytes]) -> Facts:
        """Writes a file from an open one; returns what it is then."""
        with self._reaching(name, write=True):
            path = self._path(name)
            with path.open("wb") as target:
                shutil.copyfileobj(source, target, _PIECE)
            return _facts(path.stat())

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with self._reaching(name, write=True):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Any:
        from etils import epath

        return epath.Path(self.address) / name if name else epath.Path(self.address)

    @contextlib.contextmanager
    def _reaching(self, name: str = "", *, write: bool = False) -> Iterator[None]:
        """What a store raises, as one sentence."""
        where = f"{self.address}/{name}" if name else self.address
        try:
            yield
        except (UserError, MachineError):
            raise
        except FileNotFoundError as error:
            if write:
                raise UserError(f"{where} cannot be written: there is no such bucket.") from error
            raise MachineError(
                f"{where} was removed while it was read: run the same command again."
            ) from error
        except ImportError as error:
            raise UserError(
                f"{where} needs a package for its kind of store ({_first_line(error)}): pip "
                'install -e ".[gcs]" in the folder of wrp_jax for gs://, s3fs for s3://, adlfs for '
                "az://."
            ) from error
        except PermissionError as error:
            what = "written" if write else "read"
            raise UserError(f"{where} may not be {what}: {_first_line(error)}.") from error
        except Exception as error:  # of the store's library, whatever that raises
            full = machine_error(error)
            if full is not None:
                raise full from error
            raise MachineError(
                f"{where} does not answer ({_first_line(error)}): run the same command again to "
                "go on."
            ) from error


def _status(entry: tuple[str, Any]) -> Any:
    with contextlib.suppress(FileNotFoundError):  # gone meanwhile
        return entry[1].stat()
    return None


def _facts(status: Any) -> Facts:
    return int(status.length), int(status.mtime or 0)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
