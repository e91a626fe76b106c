"""The safetensors container: a JSON header and raw numbers, nothing to execute.

Reference: the format section of huggingface/safetensors' README. Reading and writing it takes
less code than guarding a dependency would; what is written here is read by that library.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import struct
from collections.abc import Mapping

import ml_dtypes
import numpy as np

from wrp_jax.weights.inert_pickle import CheckpointFormatError

MAX_HEADER = 100_000_000
"""The library's own limit, in bytes."""

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("bool"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def write_safetensors(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes arrays by name; the file appears whole or not at all."""
    header: dict = {"__metadata__": dict(metadata)}
    place = 0
    for name, array in arrays.items():
        end = place + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [place, end],
        }
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = pathlib.Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            for array in arrays.values():
                stream.write(np.ascontiguousarray(array).tobytes())
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _counts(name: str, value: object) -> list[int]:
    if not isinstance(value, list) or not all(type(v) is int and v >= 0 for v in value):
        raise CheckpointFormatError(f"the entry {name!r} has no shape or place")
    return value


def _entry(name: str, entry: object, data: np.ndarray) -> tuple[int, int, np.ndarray]:
    kind = entry.get("dtype") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(kind, str) or kind not in _DTYPES:
        raise CheckpointFormatError(f"the entry {name!r} has no known type")
    dtype = _DTYPES[kind]
    shape, offsets = _counts(name, entry.get("shape")), _counts(name, entry.get("data_offsets"))
    if len(shape) > 32 or len(offsets) != 2:
        raise CheckpointFormatError(f"the entry {name!r} has no shape or place")
    start, end = offsets
    if end > len(data) or end - start != math.prod(shape) * dtype.itemsize:
        raise CheckpointFormatError(f"the entry {name!r} does not fit its bytes")
    numbers = np.frombuffer(data[start:end].tobytes(), dtype).reshape(shape)
    return start, end, numbers


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads a safetensors file.

    Returns:
      Arrays by name, and the metadata.

    Raises:
      CheckpointFormatError: damaged, or not of this format.
    """
    try:
        data = np.memmap(path, np.uint8, "r")
        length = int.from_bytes(data[:8].tobytes(), "little")
        if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER):
            raise CheckpointFormatError("it ends before its header does")
        header = json.loads(data[8 : 8 + length].tobytes().decode())
        if not isinstance(header, dict):
            raise CheckpointFormatError("its header is no dictionary")
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise CheckpointFormatError("its metadata are no dictionary")
        body = data[8 + length :]
        entries = {name: _entry(name, entry, body) for name, entry in header.items()}
        place = 0
        for start, end, _ in sorted(entries.values(), key=lambda e: e[:2]):
            if start != place:
                raise CheckpointFormatError("its entries overlap or leave gaps")
            place = end
        if place != len(body):
            raise CheckpointFormatError("it has bytes left over")
    except CheckpointFormatError as error:
        raise CheckpointFormatError(
            f"{path} cannot be read as safetensors: {error}; convert or download it again."
        ) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointFormatError(
            f"{path} cannot be read as safetensors ({error}); convert or download it again."
        ) from None
    except OSError as error:
        raise CheckpointFormatError(
            f"{path} cannot be opened ({error.strerror}); check the path."
        ) from None
    return {name: numbers for name, (_, _, numbers) in entries.items()}, metadata
