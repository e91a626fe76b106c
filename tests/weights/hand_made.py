"""Checkpoints put together by hand: what torch writes, and what it would never write."""

from __future__ import annotations

import io
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping

import numpy as np

from wrp_jax.weights.pth_reader import LEGACY_MAGIC

CONTAINERS = ["zip", "legacy"]


class Storage:
    """A persistent id; ``kind`` is pickled as a global."""

    def __init__(self, numel, key="0", kind="FloatStorage", view=()):
        self.pid = ("storage", Name("torch", kind), key, "cpu", numel, *view)


class Name:
    """Pickled as a reference to ``module.name``, which need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickled as a call of a name with arguments."""

    def __init__(self, function, *args):
        self.function, self.args = function, args


class _Pickler(pickle._Pickler):  # the Python one: its `save` can be taught new kinds
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.args)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(value) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(value)
    return stream.getvalue()


def tensor(storage, offset=0, shape=(4,), strides=(1,)):
    rebuild = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, {})


def write_zip(path, root: bytes, members=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", root)
        for name, data in ({"data/0": bytes(16)} if members is None else members).items():
            archive.writestr(f"archive/{name}", data)
    return path


def write_legacy(path, value, storages=(("0", 4, bytes(16)),), keys=None, little=True):
    system = {"protocol_version": 1001, "little_endian": little}
    data = b"".join(pickled(part) for part in (LEGACY_MAGIC, 1001, system, value))
    data += pickled([key for key, _, _ in storages] if keys is None else keys)
    count = "<q" if little else ">q"
    data += b"".join(struct.pack(count, numel) + raw for _, numel, raw in storages)
    path.write_bytes(data)
    return path


def write_state(
    path: pathlib.Path,
    state: Mapping[str, np.ndarray],
    container: str,
    around: Callable[[dict], object] = lambda tensors: tensors,
) -> pathlib.Path:
    """Arrays as ``torch.save`` writes them: each in a storage of its own.

    ``around`` puts the dictionary of tensors into what a training script saves beside it.
    """
    tensors, storages = {}, []
    for key, (name, array) in enumerate(state.items()):
        kind = {"float32": "FloatStorage", "int64": "LongStorage"}[array.dtype.name]
        strides = np.empty(array.shape, array.dtype).strides
        strides = tuple(step // array.itemsize for step in strides)
        tensors[name] = tensor(Storage(array.size, str(key), kind), 0, array.shape, strides)
        storages.append((str(key), array.size, np.ascontiguousarray(array).tobytes()))
    value = around(tensors)
    if container == "legacy":
        return write_legacy(path, value, storages)
    return write_zip(path, pickled(value), {f"data/{key}": raw for key, _, raw in storages})
