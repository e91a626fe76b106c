"""Reads PyTorch checkpoints with NumPy alone: the zip container (PyTorch 1.6 on) and the older one.

Nothing in the file is executed (see ``inert_pickle.py``), sizes are checked before memory is
taken, and only the tensors of the state dict are turned into arrays, so that an optimizer's
state beside it costs nothing.

Reference: pytorch/pytorch, ``torch/serialization.py`` (``_save``, ``_legacy_save``).
"""

from __future__ import annotations

import io
import mmap
import os
import pathlib
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from wrp_jax.weights import inert_pickle
from wrp_jax.weights.inert_pickle import CheckpointFormatError, StorageRef, TensorRef

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_EXPANSION = 4
"""How many times the size of the file its arrays may take (views of one storage are counted)."""

_MEMBERS = re.compile(
    r"[^/]*/(data\.pkl|byteorder|version|data/[0-9]+|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id)"
)
_DTYPES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


def _dtype(storage: StorageRef) -> np.dtype:
    if storage.type_name not in _DTYPES:
        raise CheckpointFormatError(f"its numbers are of the unknown kind {storage.type_name}")
    return _DTYPES[storage.type_name]


def _numbers(data: Any, storage: StorageRef, little: bool) -> np.ndarray:
    """The bytes of a storage as a flat read-only array in the machine's own byte order."""
    dtype = _dtype(storage)
    if len(data) != storage.numel * dtype.itemsize:
        raise CheckpointFormatError(
            f"storage {storage.key} has {len(data)} bytes where {storage.numel} numbers of "
            f"{dtype.itemsize} bytes are announced"
        )
    order = "<" if little else ">"
    if dtype == np.bool_:
        numbers = np.frombuffer(data, np.uint8) != 0
    elif dtype == ml_dtypes.bfloat16:
        numbers = np.frombuffer(data, np.dtype(f"{order}u2")).astype(np.uint16).view(dtype)
    else:
        numbers = np.frombuffer(data, dtype.newbyteorder(order)).astype(dtype, copy=False)
    numbers.flags.writeable = False
    return numbers


def _arrays(
    tensors: Mapping[str, TensorRef], numbers_of: Callable[[StorageRef], np.ndarray], limit: int
) -> dict[str, np.ndarray]:
    """Turns descriptions into arrays; each storage is read once and shared by its views."""
    total = sum(
        int(np.prod(ref.shape, dtype=object)) * _dtype(ref.storage).itemsize
        for ref in tensors.values()
    )
    if total > limit:
        raise CheckpointFormatError(f"its tensors would take {total} bytes, far more than the file")
    storages: dict[str, np.ndarray] = {}
    arrays = {}
    for name, ref in tensors.items():
        whole = ref.storage._replace(offset=0)
        if whole.key not in storages:
            storages[whole.key] = numbers_of(whole)
        numbers = storages[whole.key]
        if 0 in ref.shape:
            arrays[name] = np.zeros(ref.shape, numbers.dtype)
            continue
        steps = tuple(step * numbers.itemsize for step in ref.strides)
        view = np.lib.stride_tricks.as_strided(
            numbers[ref.offset :], ref.shape, steps, writeable=False
        )
        # Zero-dimensional stays so: ascontiguousarray alone would add an axis.
        arrays[name] = np.ascontiguousarray(view).reshape(ref.shape)
    return arrays


def _state_dict(root: Any) -> dict[str, TensorRef]:
    """The named tensors of a checkpoint: the dictionary itself or its ``state_dict``."""
    if isinstance(root, dict) and isinstance(root.get("state_dict"), dict):
        root = root["state_dict"]
    if not isinstance(root, dict) or not root:
        raise CheckpointFormatError("it holds no state dict")
    for name, value in root.items():
        if type(name) is not str:
            raise CheckpointFormatError("its state dict has an entry without a name")
        if not isinstance(value, TensorRef):
            kind = value.origin if isinstance(value, inert_pickle.Opaque) else type(value).__name__
            raise CheckpointFormatError(
                f"the entry {name!r} of its state dict is no tensor but {kind}"
            )
    return root


def _read_zip(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    try:
        archive = zipfile.ZipFile(file)
        members = {}
        for info in archive.infolist():
            if not _MEMBERS.fullmatch(info.filename):
                raise CheckpointFormatError(
                    f"it holds {info.filename!r}, which no state dict has (TorchScript and whole "
                    "models are not read: save model.state_dict())"
                )
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise CheckpointFormatError(f"its member {info.filename!r} is compressed")
            if info.file_size > size:
                raise CheckpointFormatError(f"its member {info.filename!r} is cut off")
            key = info.filename.partition("/")[2]
            if key in members:
                raise CheckpointFormatError(f"it holds {key!r} twice")
            members[key] = info
        if "data.pkl" not in members:
            raise CheckpointFormatError("it is a zip archive without data.pkl")
        order = archive.read(members["byteorder"]) if "byteorder" in members else b"little"
        if order not in (b"little", b"big"):
            raise CheckpointFormatError("its byte order is neither little nor big")
        tensors = _state_dict(inert_pickle.follow(io.BytesIO(archive.read(members["data.pkl"]))))

        def numbers_of(storage: StorageRef) -> np.ndarray:
            member = members.get(f"data/{storage.key}")
            if member is None:
                raise CheckpointFormatError(f"it lacks the numbers of storage {storage.key!r}")
            return _numbers(archive.read(member), storage, order == b"little")

        return _arrays(tensors, numbers_of, MAX_EXPANSION * size)
    except CheckpointFormatError:
        raise
    except (
        *(zipfile.BadZipFile, struct.error, ValueError, OSError, EOFError, RuntimeError),
        *(LookupError, OverflowError),
    ) as error:
        raise CheckpointFormatError(f"its zip archive is damaged ({error})") from None


def _read_legacy(file: mmap.mmap) -> dict[str, np.ndarray]:
    magic = inert_pickle.follow(file)
    if type(magic) is not int or magic != LEGACY_MAGIC:
        raise CheckpointFormatError("it is no PyTorch checkpoint")
    protocol, system = inert_pickle.follow(file), inert_pickle.follow(file)
    if type(protocol) is not int or protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise CheckpointFormatError("it is a PyTorch checkpoint of an unknown version")
    little = system.get("little_endian") is not False
    storages: dict[str, StorageRef] = {}
    root = inert_pickle.follow(file, storages)
    tensors = _state_dict(root)
    keys = inert_pickle.follow(file)
    if not isinstance(keys, list):
        raise CheckpointFormatError("it has no list of storages")
    places: dict[str, int] = {}
    place = file.tell()
    for key in keys:
        if type(key) is not str or key not in storages or key in places:
            raise CheckpointFormatError("its list of storages does not fit its tensors")
        size = storages[key].numel * _dtype(storages[key]).itemsize
        if place + 8 + size > len(file):
            raise CheckpointFormatError(f"it ends before the numbers of storage {key!r}")
        (numel,) = struct.unpack("<q" if little else ">q", file[place : place + 8])
        if numel != storages[key].numel:
            raise CheckpointFormatError(f"storage {key!r} has another length than announced")
        places[key] = place + 8
        place += 8 + size

    def numbers_of(storage: StorageRef) -> np.ndarray:
        if storage.key not in places:
            raise CheckpointFormatError(f"it lacks the numbers of storage {storage.key!r}")
        start = places[storage.key]
        return _numbers(
            file[start : start + storage.numel * _dtype(storage).itemsize], storage, little
        )

    return _arrays(tensors, numbers_of, MAX_EXPANSION * len(file))


def read_pth(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the state dict of a PyTorch checkpoint.

    Args:
      path: a file written by ``torch.save``: a bare state dict, or a dictionary that holds one
        under ``state_dict``; both containers.

    Returns:
      Read-only arrays by name, in the order and with the shapes of the file; a leading
      ``module.`` that all names share (``DataParallel``) is taken off.

    Raises:
      CheckpointFormatError: the file is damaged, hostile or no state dict.
    """
    path = pathlib.Path(path)
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if not size:
                raise CheckpointFormatError("it is empty")
            if stream.read(4) == b"PK\x03\x04":
                arrays = _read_zip(stream, size)
            else:
                # A map's read() never allocates beyond the end of the file, a stream's does.
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as file:
                    if file[257:262] == b"ustar":
                        raise CheckpointFormatError("it is a tar archive of PyTorch before 0.1.10")
                    arrays = _read_legacy(file)
    except CheckpointFormatError as error:
        raise CheckpointFormatError(
            f"{path} cannot be read as weights: {error}; download or save it again."
        ) from None
    except OSError as error:
        raise CheckpointFormatError(
            f"{path} cannot be opened ({error.strerror}); check the path."
        ) from None
    if all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays
