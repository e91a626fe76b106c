"""Digests of the frames and labels of a source, without decoding those that lie in files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from wrp_jax import interrupts
from wrp_jax.data.source import VideoSource, reading
from wrp_jax.files.digests import FileDigests
from wrp_jax.files.records import fingerprint


@runtime_checkable
class FileSource(Protocol):
    """What sources that read files, or nothing at all, offer besides."""

    def origin(self, kind: str, sequence: str, name: str) -> tuple[tuple[Path, ...], str]:
        """The files that a picture is read from, and what tells it from others in them.

        Args:
          kind: ``frames`` or ``labels``.
          sequence: name of the sequence.
          name: of the frame.
        """
        ...


class SourceDigests:
    """Digests of frames and labels, hexadecimal; each is found once.

    A picture in a file is known by the file's bytes, whatever the file is called; one in memory,
    or of a source that does not tell its files, by its pixels.
    """

    def __init__(self, source: VideoSource, files: FileDigests | None = None):
        """Looks at nothing yet.

        Args:
          source: the video.
          files: remembers the digests of files.
        """
        self._source, self._files = source, files or FileDigests()
        self._found: dict[tuple[str, str, str], str] = {}
        self._shared: dict[tuple[Path, ...], list[str]] = {}

    def frame(self, sequence: str, name: str) -> str:
        """Of a frame.

        Raises:
          UserError: it cannot be read.
        """
        return self._of("frames", sequence, name, self._source.frame)

    def label(self, sequence: str, name: str, read: Callable[[str, str], np.ndarray]) -> str:
        """Of a label that the caller may know; ``read`` gives its pixels where they are needed."""
        return self._of("labels", sequence, name, read)

    def frames(self, sequence: str, names: Sequence[str]) -> str:
        """Of a part of a video: its frames in order, with their names."""
        return fingerprint([[name, self.frame(sequence, name)] for name in names])

    def _of(
        self, kind: str, sequence: str, name: str, read: Callable[[str, str], np.ndarray]
    ) -> str:
        key = kind, sequence, name
        if key not in self._found:
            interrupts.check()
            with reading(name):
                self._found[key] = self._digest(key, read)
        return self._found[key]

    def _digest(self, key: tuple[str, str, str], read: Callable[[str, str], np.ndarray]) -> str:
        if not isinstance(self._source, FileSource):
            pixels = read(*key[1:])
            digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
            digest.update(np.ascontiguousarray(pixels).data)
            return digest.hexdigest()
        files, place = self._source.origin(*key)
        if len(files) == 1 and not place:
            return self._files.of(files[0])
        if files not in self._shared:
            self._shared[files] = [self._files.of(path) for path in files]
        return fingerprint(self._shared[files], place)
