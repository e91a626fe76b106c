"""Arrays that wait in files without a name, so that memory does not grow with a window."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from wrp_jax.machine import machine_error
from wrp_jax.types import OutputError


@runtime_checkable
class Arrays(Protocol):
    """Arrays of one shape and type, by number."""

    def put(self, start: int, arrays: np.ndarray) -> None:
        """Keeps arrays number ``start`` and those after it, along the first axis."""
        ...

    def read(self, start: int, count: int) -> np.ndarray:
        """Array number ``start`` and those after it, ``count`` in all."""
        ...


class HeldArrays:
    """Arrays that wait in memory."""

    def __init__(self) -> None:
        """Holds none yet."""
        self._held: dict[int, np.ndarray] = {}

    def put(self, start: int, arrays: np.ndarray) -> None:
        """See ``Arrays``."""
        self._held |= dict(enumerate(np.array(arrays), start))

    def read(self, start: int, count: int) -> np.ndarray:
        """See ``Arrays``."""
        return np.stack([self._held[i] for i in range(start, start + count)])


@contextlib.contextmanager
def array_store(directory: Path | None) -> Iterator[Arrays]:
    """Arrays in a file in a folder, or in memory where there is none; they go with the context."""
    if directory is None:
        yield HeldArrays()
        return
    with ArrayFile(directory) as file:
        yield file


class ArrayFile:
    """Arrays of one shape and type in a file; the last of them is number ``count - 1``.

    The file goes when this is closed or the process ends, however it ends. It is read, not
    mapped: pages of a mapped file count as memory of the process.
    """

    def __init__(self, directory: Path):
        """Opens an empty file.

        Args:
          directory: where it goes; made if missing, but not the one above it, which may be that of
            a run and have been removed.

        Raises:
          OutputError: it cannot be made there.
          MachineError: the disk is full.
        """
        self._directory = directory
        self.count = 0
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)
        with self._faults():
            directory.mkdir(exist_ok=True)
            # On Linux such a file never has a name, elsewhere none once it is open.
            self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 (see __exit__)

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, arrays: np.ndarray) -> None:
        """Adds one array per entry of the first axis.

        Raises:
          OutputError: the file cannot be written.
          MachineError: the disk is full.
        """
        self.put(self.count, arrays)

    def put(self, start: int, arrays: np.ndarray) -> None:
        """Writes arrays number ``start`` and those after it; those before it may come later.

        Raises:
          OutputError, MachineError: see ``append``.
        """
        self._shape, self._dtype = arrays.shape[1:], arrays.dtype
        with self._faults():
            self._file.seek(start * (arrays.nbytes // len(arrays)))
            self._file.write(np.ascontiguousarray(arrays).reshape(-1).view(np.uint8).data)
        self.count = max(self.count, start + len(arrays))

    def read(self, start: int, count: int) -> np.ndarray:
        """Array number ``start`` and those after it, ``count`` in all."""
        arrays = np.empty((count, *self._shape), self._dtype)
        with self._faults():
            self._file.seek(start * (arrays.nbytes // count))
            self._file.readinto(arrays.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        return arrays

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"{self._directory} cannot hold what a window needs beside its result"
            raise (
                machine_error(error, what) or OutputError(f"{what}: {error.strerror or error}.")
            ) from error
