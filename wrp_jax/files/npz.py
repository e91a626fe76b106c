"""Reads ``.npz``: sizes are known and checked before memory is taken.

``np.load`` unpacks whatever a file announces, which of a few megabytes makes gigabytes, and it
answers damage with a dozen kinds of errors. Here the headers come first, so that a reader can
compare shapes with what it needs, and the arrays taken from one file share a budget.

Reference: ``numpy.lib.format`` (the npy container, versions 1 to 3).
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
from types import TracebackType
from typing import NamedTuple

import numpy as np

from wrp_jax.files.regular import open_regular
from wrp_jax.types import UserError

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 4096
_MAX_DIMENSIONS = 16
# The dictionary of an npy header; Python 2 wrote an L behind whole numbers.
_ITEMS = re.compile(
    r"""\s*['"](descr|fortran_order|shape)['"]\s*:\s*"""
    r"""(?:['"]([<>|=]?[biuf]\d{1,2})['"]|(True|False)|\(([\dL,\s]*)\))\s*(?:,|(?=\}))"""
)
_KINDS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}


class ArrayHeader(NamedTuple):
    """What a file says of one of its arrays.

    Attributes:
      stored: truth values, whole or floating numbers, in the byte order of the file.
      shape: lengths of its axes.
      fortran: whether the first axis runs fastest.
    """

    stored: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    @property
    def dtype(self) -> np.dtype:
        """Of the array as it is read: in the byte order of the machine."""
        return self.stored.newbyteorder("=")

    @property
    def nbytes(self) -> int:
        """Memory that the array takes."""
        return math.prod(self.shape) * self.stored.itemsize


class NpzFile:
    """An open ``.npz``; a context manager. Whatever is wrong with it is a ``UserError``."""

    def __init__(self, path: str | os.PathLike[str], limit: int):
        """Lists the arrays; none is read yet.

        Args:
          path: the file.
          limit: bytes that all arrays taken from it may have together.

        Raises:
          UserError: no such file, no regular one, or no zip archive.
        """
        self._path, self._left = path, limit
        self._file = open_regular(path)
        try:
            self._archive = zipfile.ZipFile(self._file)
            members = self._archive.infolist()
        except Exception as error:  # zipfile raises whatever it meets in untrusted bytes
            self._file.close()
            raise self._damaged("it is cut off, or no npz") from error
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        if len(self._members) < len(members):
            self._file.close()
            raise self._damaged("it has two arrays of one name")

    def __enter__(self) -> NpzFile:
        """The file itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays.

        Raises:
          UserError: an array has another name in front of its data: it was renamed by damage, and
            would count as absent.
        """
        for info in self._members.values():
            try:
                self._archive.open(info).close()
            except Exception as error:  # as above
                raise self._damaged(f"its array {info.filename!r} cannot be unpacked") from error
        return tuple(self._members)

    def header(self, name: str) -> ArrayHeader:
        """Type and shape of an array.

        Raises:
          UserError: there is no such array, or it is of Python objects or damaged.
        """
        return self._open(name)[0]

    def read(self, name: str) -> np.ndarray:
        """An array, checked against the sum that the archive keeps of it.

        Raises:
          UserError: as ``header``, or the arrays read so far have more bytes than the limit.
        """
        header, stream = self._open(name)
        self._left -= header.nbytes
        if self._left < 0:
            raise self._damaged(
                f"its array {name!r} is said to be {header.dtype} {list(header.shape)}, larger "
                "than needed"
            )
        try:
            data = stream.read(header.nbytes + 1)
        except Exception as error:  # as above; zlib besides
            raise self._damaged(f"its array {name!r} cannot be unpacked") from error
        if len(data) != header.nbytes:
            raise self._damaged(f"its array {name!r} is cut off")
        flat = np.frombuffer(data, header.stored).astype(header.dtype, copy=False)
        return flat.reshape(header.shape, order="F" if header.fortran else "C")

    def _open(self, name: str) -> tuple[ArrayHeader, zipfile.ZipExtFile]:
        info = self._members.get(name)
        if info is None:
            raise self._damaged(f"it has no array {name!r}")
        # bzip2 and LZMA, which NumPy never writes, take memory of their own.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._damaged(f"its array {name!r} is packed in another way than NumPy's")
        try:
            stream: zipfile.ZipExtFile = self._archive.open(info)  # pyright: ignore[reportAssignmentType]
            header, length = _header(stream)
        except Exception as error:  # as above
            reason = str(error) if type(error) is _HeaderError else "it cannot be unpacked"
            raise self._damaged(f"its array {name!r} is no array of numbers: {reason}") from error
        if info.file_size != length + header.nbytes:
            raise self._damaged(
                f"its array {name!r} is said to be {header.dtype} {list(header.shape)} and has "
                f"{info.file_size - length} bytes"
            )
        return header, stream

    def _damaged(self, why: str) -> UserError:
        return UserError(
            f"{self._path} is damaged or no .npz of arrays ({why}): write it again with "
            "numpy.savez."
        )


class _HeaderError(ValueError):
    """What is wrong with an npy header."""


def _header(stream: zipfile.ZipExtFile) -> tuple[ArrayHeader, int]:
    """The header of an npy stream and how many bytes it takes; leaves the stream behind it."""
    start = stream.read(8)
    if len(start) < 8 or start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise _HeaderError("it does not begin as NumPy's files do")
    size = struct.Struct("<H" if start[6] == 1 else "<I")
    (length,) = size.unpack(stream.read(size.size))
    if length > _MAX_HEADER:
        raise _HeaderError(f"its header has {length} bytes")
    text = stream.read(length).decode("latin-1").strip()
    items, end = {}, 1
    while match := _ITEMS.match(text, end):
        key, *values = match.groups()
        items[key] = next((v for v in values if v is not None), None)
        end = match.end()
    complete = len(text) > 1 and text[0] == "{" and text[end:].strip() == "}" and len(items) == 3
    kind, order, shape = (items.get(key) for key in ("descr", "fortran_order", "shape"))
    if not complete or kind is None or shape is None or order not in ("True", "False"):
        raise _HeaderError("its header describes no plain numbers")
    plain = kind.lstrip("<>|=")
    if int(plain[1:]) not in _KINDS[plain[0]]:
        raise _HeaderError(f"it holds numbers of the kind {kind!r}")
    lengths = [part.strip().removesuffix("L") for part in shape.split(",") if part.strip()]
    if len(lengths) > _MAX_DIMENSIONS or not all(p.isdigit() and len(p) < 20 for p in lengths):
        raise _HeaderError("its shape is none")
    header = ArrayHeader(np.dtype(kind), tuple(map(int, lengths)), order == "True")
    if max((*header.shape, header.nbytes)) > 2**62:
        raise _HeaderError("its shape is larger than any memory")
    return header, 8 + size.size + length
