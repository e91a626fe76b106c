"""Checkpoints put together by hand: as torch would write them, and as it never would."""

from __future__ import annotations

import io
import pickle
import zipfile


class Storage:
    """A persistent id; ``kind`` is pickled as a global."""

    def __init__(self, numel, key="0", kind="FloatStorage", view=()):
        self.pid = ("storage", Name("torch", kind), key, "cpu", numel, *view)


class Name:
    """Pickled as a reference to ``module.name``, which need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
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


def as_tensor(storage, offset=0, shape=(4,), strides=(1,)):
    rebuild = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, {})


def write_zip(path, root: bytes, members=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", root)
        for name, data in ({"data/0": bytes(16)} if members is None else members).items():
            archive.writestr(f"archive/{name}", data)
    return path
