"""A stand-in for ``gs://``: what gcsfs would be to ``etils.epath``, in memory."""

import datetime

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class Bucket(MemoryFileSystem):
    """Objects in memory. Like a real store it has no empty folders and tells times of changes."""

    protocol = ("gs", "gcs")
    store = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    refuses: str = ""
    """Names with this in them cannot be written."""
    writes = []  # noqa: RUF012
    reads = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        path = path.removeprefix("gs://").removeprefix("gcs://").strip("/")
        return f"/{path}" if path else ""

    def info(self, path, **kwargs):
        found = super().info(path, **kwargs)
        if found["type"] == "file":
            found["mtime"] = self.modified(path)
        return found

    def open(self, path, mode="rb", **kwargs):
        name = self._strip_protocol(path)
        (self.reads if "r" in mode else self.writes).append(name)
        if "w" in mode:
            if self.refuses and self.refuses in name:
                raise ConnectionError("the line is down")
            self.makedirs(self._parent(name), exist_ok=True)
        return super().open(path, mode, **kwargs)

    @classmethod
    def age(cls, name, seconds=60):
        """As if an object had been written so many seconds before."""
        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
        cls.store[name].modified = then

    @classmethod
    def names(cls):
        return sorted(cls.store)


def stand_in(monkeypatch, place):
    """An empty bucket behind ``gs://``; copies lie below ``place``."""
    from etils.epath import backend

    fsspec.register_implementation("gcs", Bucket, clobber=True)
    fsspec.register_implementation("gs", Bucket, clobber=True)
    Bucket.clear_instance_cache()
    backend.fsspec_backend._get_filesystem.cache_clear()
    Bucket.store.clear()
    Bucket.pseudo_dirs[:] = [""]
    Bucket.writes.clear()
    Bucket.reads.clear()
    monkeypatch.setattr(Bucket, "refuses", "")
    monkeypatch.setenv("WRP_JAX_COPIES", str(place))
    return Bucket
