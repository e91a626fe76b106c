"""Weights in the safetensors container: names and raw numbers, nothing to execute.

The ``safetensors`` library reads and checks the container; here its errors get a sentence, and the
content a digest. The container has none of its own: a flipped bit is another number. What this
program writes carries one in its metadata (``DIGEST``), over names, types, shapes, numbers and the
other metadata. Files of other programs have none and are read without.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import open_regular
from wrp_jax.files.strict_json import MAX_BYTES, parse_json
from wrp_jax.weights.inert_pickle import CheckpointFormatError

DIGEST = "wrp_jax.sha256"
"""Where the metadata hold the digest."""


def write_safetensors(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes arrays by name, and their digest; the file appears whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    # The library writes the memory of a strided array as it lies there, in the wrong order.
    arrays = {name: np.array(a, order="C") for name, a in arrays.items()}
    data = save(arrays, {**metadata, DIGEST: _digest(arrays, metadata)})
    write_atomically(pathlib.Path(path), data)


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads a safetensors file.

    Returns:
      Arrays by name, and the metadata.

    Raises:
      UserError: there is no such file, or no regular one.
      CheckpointFormatError: damaged, not of this format, or of a type that numpy lacks.
    """
    _check_header(path)
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (OSError, SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(path, str(error).splitlines()[0]) from None
    if metadata.get(DIGEST, digest := _digest(arrays, metadata)) != digest:
        raise _unreadable(path, "it is damaged: its sum is not the one that was written into it")
    return arrays, metadata


def _unreadable(path: str | os.PathLike[str], why: str) -> CheckpointFormatError:
    return CheckpointFormatError(
        f"{path} cannot be read as safetensors ({why}); convert or download it again."
    )


def _check_header(path: str | os.PathLike[str]) -> None:
    """Refuses what the library would take: a name twice, of which it keeps one, long headers."""
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_BYTES:
            raise _unreadable(path, f"its header is said to have {length} bytes")
        try:
            parse_json(file.read(length))
        except ValueError as error:
            raise _unreadable(path, f"its header is no JSON: {error}") from None


def _digest(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    facts = [
        sorted((key, value) for key, value in metadata.items() if key != DIGEST),
        [(name, arrays[name].dtype.name, arrays[name].shape) for name in sorted(arrays)],
    ]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data)
    return digest.hexdigest()
