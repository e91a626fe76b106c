"""Tensors as a PyTorch checkpoint describes them: a strided view of a run of numbers elsewhere.

Descriptions are checked when they are made: a tensor lies inside its storage and repeats none of
its numbers by stride. ``pth_reader.py`` turns the wanted ones into arrays.

Reference: pytorch/pytorch, ``torch/_utils.py`` and ``torch/serialization.py``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from wrp_jax.weights.inert_pickle import CheckpointFormatError, Global, checked_key

_MAX_DIMENSIONS = 8
_MAX_ELEMENTS = 2**40
_MAX_COUNT = 2**63 - 1
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


class StorageRef(NamedTuple):
    """A run of numbers elsewhere in the file. ``offset`` and ``numel`` count elements."""

    key: str
    type_name: str
    numel: int
    offset: int = 0

    @property
    def dtype(self) -> np.dtype:
        """Of its numbers, in the machine's byte order."""
        if self.type_name not in _DTYPES:
            raise CheckpointFormatError(f"its numbers are of the unknown kind {self.type_name!r}")
        return _DTYPES[self.type_name]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the file."""
        return self.numel * self.dtype.itemsize


class TensorRef(NamedTuple):
    """A strided view of a storage, inside its bounds and without overlap by count."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor by itself."""
        return math.prod(self.shape) * self.storage.dtype.itemsize


def storage_ref(pid: Any) -> StorageRef:
    """What a persistent id of a checkpoint means."""
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise CheckpointFormatError("a persistent id is not a storage")
    _, kind, key, _, numel = pid[:5]
    if not isinstance(kind, Global) or kind.module not in ("torch", "torch.cuda", "torch.storage"):
        raise CheckpointFormatError("a storage has no known element type")
    if type(key) is not str:
        raise CheckpointFormatError("a storage key is not a string")
    storage = StorageRef(checked_key(key), kind.name, _count(numel, "the length of a storage"))
    view = pid[5] if len(pid) == 6 else None
    if view is None:
        return storage
    if not isinstance(view, tuple) or len(view) != 3:
        raise CheckpointFormatError("a storage view is malformed")
    offset = _count(view[1], "the offset of a storage view")
    length = _count(view[2], "the length of a storage view")
    if offset + length > storage.numel:
        raise CheckpointFormatError("a storage view reaches beyond its storage")
    # Tensors are checked against the whole storage, from which the view starts at `offset`.
    return storage._replace(offset=offset)


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise CheckpointFormatError(f"{what} is not a count")
    return value


def _counts(value: Any, what: str) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > _MAX_DIMENSIONS:
        raise CheckpointFormatError(f"{what} is not a tuple of at most {_MAX_DIMENSIONS} counts")
    return tuple(_count(item, what) for item in value)


def _tensor(*args: Any) -> TensorRef:
    if len(args) < 4 or not isinstance(args[0], StorageRef):
        raise CheckpointFormatError("a tensor is not built on a storage")
    storage = args[0]
    offset = _count(args[1], "the offset of a tensor") + storage.offset
    shape = _counts(args[2], "the shape of a tensor")
    strides = _counts(args[3], "the strides of a tensor")
    if len(shape) != len(strides):
        raise CheckpointFormatError("a tensor's shape and strides differ in length")
    size = math.prod(shape)
    if any(step == 0 and length > 1 for length, step in zip(shape, strides, strict=True)):
        raise CheckpointFormatError("a tensor repeats its numbers with stride 0")
    last = sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
    if size > storage.numel or (size and offset + last >= storage.numel):
        raise CheckpointFormatError("a tensor reaches beyond its storage")
    if math.prod(max(1, length) for length in shape) > _MAX_ELEMENTS:
        raise CheckpointFormatError("an empty tensor has an impossible shape")
    # The stride of a single element moves nothing, but may be too large for NumPy.
    strides = tuple(s if length > 1 else 0 for length, s in zip(shape, strides, strict=True))
    return TensorRef(storage, offset, shape, strides)


def _parameter(*args: Any) -> TensorRef:
    if not args or not isinstance(args[0], TensorRef):
        raise CheckpointFormatError("a parameter holds no tensor")
    return args[0]


def _ordered_dict(*args: Any) -> dict[Any, Any]:
    pairs = args[0] if args and isinstance(args[0], (list, tuple)) else ()
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise CheckpointFormatError("an OrderedDict is not built from pairs")
    return {checked_key(key): value for key, value in pairs}


def _size(*args: Any) -> tuple[int, ...]:
    return _counts(args[0] if args else (), "a torch.Size")


CALLS = {
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("torch", "Size"): _size,
}
"""The only calls of a checkpoint that mean something here."""
