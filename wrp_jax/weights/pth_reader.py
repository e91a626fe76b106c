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
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from wrp_jax.files.regular import file_size, open_regular
from wrp_jax.types import UserError
from wrp_jax.weights import inert_pickle
from wrp_jax.weights.inert_pickle import CheckpointFormatError
from wrp_jax.weights.tensor_refs import CALLS, StorageRef, TensorRef, storage_ref

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_EXPANSION = 4
"""How many times the size of the file its arrays may take (views of one storage are counted)."""
MAX_TENSORS = 20_000
"""The largest network here has 2 000."""

_MEMBERS = re.compile(
    r"[^/]*/(data\.pkl|byteorder|version|data/[0-9]+|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id)"
)


def _numbers(data: Any, storage: StorageRef, little: bool) -> np.ndarray:
    """The bytes of a storage as a flat read-only array in the machine's own byte order."""
    dtype = storage.dtype
    if len(data) != storage.nbytes:
        raise CheckpointFormatError(
            f"storage {storage.key!r} has {len(data)} bytes where {storage.numel} numbers of "
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
    total = sum(ref.nbytes for ref in tensors.values())
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
    if len(root) > MAX_TENSORS:
        raise CheckpointFormatError(f"its state dict has {len(root)} entries")
    for name, value in root.items():
        if type(name) is not str:
            raise CheckpointFormatError("its state dict has an entry without a name")
        if not isinstance(value, TensorRef):
            opaque = isinstance(value, inert_pickle.Opaque)
            kind = ".".join(value.origin) if opaque else type(value).__name__
            raise CheckpointFormatError(
                f"the entry {name!r} of its state dict is no tensor but {kind}"
            )
    return root


def _pickle(data: bytes | mmap.mmap, start: int = 0) -> tuple[Any, int, dict[str, StorageRef]]:
    """A checkpoint's pickle, the place behind it, and every storage that it mentions, by key."""
    storages: dict[str, StorageRef] = {}

    def storage_of(pid: Any) -> StorageRef:
        storage = storage_ref(pid)
        whole = storage._replace(offset=0)
        if storages.setdefault(storage.key, whole) != whole:
            raise CheckpointFormatError(f"storage {storage.key!r} is described in two ways")
        return storage

    return *inert_pickle.follow(data, start, CALLS, storage_of), storages


def _read_zip(file: io.BufferedReader, size: int) -> dict[str, np.ndarray]:
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
        key = info.filename.partition("/")[2]
        if key in members:
            raise CheckpointFormatError(f"it holds {key!r} twice")
        members[key] = info
    # Members that overlap would be read once each.
    if sum(info.file_size for info in members.values()) > size:
        raise CheckpointFormatError("its members are larger than the file")
    if "data.pkl" not in members:
        raise CheckpointFormatError("it is a zip archive without data.pkl")
    order = archive.read(members["byteorder"]) if "byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise CheckpointFormatError("its byte order is neither little nor big")
    root, _, _ = _pickle(archive.read(members["data.pkl"]))

    def numbers_of(storage: StorageRef) -> np.ndarray:
        member = members.get(f"data/{storage.key}")
        if member is None:
            raise CheckpointFormatError(f"it lacks the numbers of storage {storage.key!r}")
        return _numbers(archive.read(member), storage, order == b"little")

    return _arrays(_state_dict(root), numbers_of, MAX_EXPANSION * size)


def _read_legacy(file: mmap.mmap) -> dict[str, np.ndarray]:
    magic, place = inert_pickle.follow(file)
    if type(magic) is not int or magic != LEGACY_MAGIC:
        raise CheckpointFormatError("it is no PyTorch checkpoint")
    protocol, place = inert_pickle.follow(file, place)
    system, place = inert_pickle.follow(file, place)
    if type(protocol) is not int or protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise CheckpointFormatError("it is a PyTorch checkpoint of an unknown version")
    little = system.get("little_endian") is not False
    root, place, storages = _pickle(file, place)
    tensors = _state_dict(root)
    keys, place = inert_pickle.follow(file, place)
    if not isinstance(keys, list):
        raise CheckpointFormatError("it has no list of storages")
    places: dict[str, int] = {}
    for key in keys:
        if type(key) is not str or key not in storages or key in places:
            raise CheckpointFormatError("its list of storages does not fit its tensors")
        storage = storages[key]
        if place + 8 + storage.nbytes > len(file):
            raise CheckpointFormatError(f"it ends before the numbers of storage {key!r}")
        (numel,) = struct.unpack("<q" if little else ">q", file[place : place + 8])
        if numel != storage.numel:
            raise CheckpointFormatError(f"storage {key!r} has another length than announced")
        places[key] = place + 8
        place += 8 + storage.nbytes

    def numbers_of(storage: StorageRef) -> np.ndarray:
        if storage.key not in places:
            raise CheckpointFormatError(f"it lacks the numbers of storage {storage.key!r}")
        start = places[storage.key]
        return _numbers(file[start : start + storage.nbytes], storage, little)

    return _arrays(tensors, numbers_of, MAX_EXPANSION * len(file))


def _read(stream: io.BufferedReader, size: int) -> dict[str, np.ndarray]:
    if not size:
        raise CheckpointFormatError("it is empty")
    if stream.read(4) == b"PK\x03\x04":
        return _read_zip(stream, size)
    # Nothing but what is needed is taken into memory.
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as file:
        if file[257:262] == b"ustar":
            raise CheckpointFormatError("it is a tar archive of PyTorch before 0.1.10")
        if file[:2] == b"\x1f\x8b":
            raise CheckpointFormatError("it is compressed with gzip: unpack it")
        return _read_legacy(file)


def read_pth(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the state dict of a PyTorch checkpoint.

    Args:
      path: a file written by ``torch.save``: a bare state dict, or a dictionary that holds one
        under ``state_dict``; both containers.

    Returns:
      Read-only arrays by name, in the order and with the shapes of the file; a leading
      ``module.`` that all names share (``DataParallel``) is taken off.

    Raises:
      UserError: there is no such file, or no regular one.
      CheckpointFormatError: it is damaged, hostile or no state dict.
    """
    try:
        with open_regular(path) as stream:
            arrays = _read(stream, file_size(stream))
    except CheckpointFormatError as error:
        raise CheckpointFormatError(
            f"{path} cannot be read as weights: {error}; download or save it again."
        ) from None
    except UserError:
        raise
    except Exception as error:  # zipfile raises whatever it meets in untrusted bytes
        raise CheckpointFormatError(
            f"{path} cannot be read as weights: it is damaged ({error}); download or save it again."
        ) from error
    if all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays
