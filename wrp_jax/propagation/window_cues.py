"""Cues of a window of any length, read in sections: held, made on demand, or kept in files."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from wrp_jax.machine import machine_error
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import ClipCues, Motion, Segment, UserError


@runtime_checkable
class WindowCues(Protocol):
    """Cues of ``count`` consecutive frames, of which a section at a time is in memory."""

    @property
    def count(self) -> int:
        """Number of frames."""
        ...

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """Cues of the frames ``start`` to ``stop - 1``, host arrays.

        Without ``semantics``, ``probs`` and ``features`` may have no channels.
        """
        ...


@dataclasses.dataclass(frozen=True)
class HeldCues:
    """Sections of cues that are in memory as a whole."""

    clip: ClipCues

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.clip.images)

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """See ``WindowCues``."""
        clip = self.clip
        channels = slice(None) if semantics else slice(0)
        return ClipCues(
            images=np.asarray(clip.images[start:stop]),
            flow_backward=np.asarray(clip.flow_backward[start : stop - 1]),
            flow_forward=np.asarray(clip.flow_forward[start : stop - 1]),
            probs=np.asarray(clip.probs[start:stop, ..., channels]),
            features=np.asarray(clip.features[start:stop, ..., channels]),
        )


@dataclasses.dataclass(frozen=True)
class MadeCues:
    """Sections that are made anew each time they are asked for."""

    frames: UInt8[np.ndarray, "n h w 3"]
    motion: Motion
    segment: Segment | None

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """See ``WindowCues``."""
        return clip_cues(self.frames[start:stop], self.motion, self.segment if semantics else None)


class StoredCues:
    """Cues that are made once, a few frames at a time, and kept in files without a name.

    Memory does not grow with the window; the files take some ``19 + 4 c`` bytes per pixel and
    frame, and go when this is closed or the process ends, however it ends. Files are read, not
    mapped: pages of a mapped file count as memory of the process.

    The cues are those of ``clip_cues`` of the whole window, to the last bit.

    Example:
      >>> with StoredCues(folder, len(names), read, motion, segment) as cues:  # doctest: +SKIP
      ...     for frame in label_frames("warp-inpaint", config, cues, 10, label, classes):
      ...         ...
    """

    def __init__(
        self,
        directory: Path,
        count: int,
        frame: Callable[[int], UInt8[np.ndarray, "h w 3"]],
        motion: Motion,
        segment: Segment | None,
        at_once: int = 4,
    ):
        """Makes nothing yet: methods that read no cues cost nothing.

        Args:
          directory: where the files go; made if missing.
          count: number of frames.
          frame: reads a frame, RGB; called once for each, in order.
          motion: f_θ, run on every pair of neighbours, in both directions of time.
          segment: g_ψ; None: ``probs`` and ``features`` have no channels.
          at_once: frames that are handed to it together; a quarter of them at 4K.
        """
        self._directory, self._count = directory, count
        self._frame, self._motion, self._segment = frame, motion, segment
        self._at_once = at_once
        self._files = contextlib.ExitStack()
        self._records: dict[str, _Records] | None = None

    def __enter__(self) -> StoredCues:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def count(self) -> int:
        """Number of frames."""
        return self._count

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """See ``WindowCues``.

        Raises:
          UserError: the files cannot be written.
          MachineError: the disk is full.
        """
        try:
            if self._records is None:
                self._records = self._make()
            records, pairs = self._records, stop - 1 - start
            images = records["frames"].read(start, stop - start).astype(np.float32) / 255.0
            n, h, w, _ = images.shape
            if pairs:
                backward = records["backward"].read(start, pairs)
                forward = records["forward"].read(start, pairs)
            else:
                backward = forward = np.zeros((0, h, w, 2), np.float32)
            if semantics and self._segment is not None:
                probs = records["probs"].read(start, n)
                features = records["features"].read(start, n)
            else:
                probs = np.zeros((n, h, w, 0), np.float32)
                features = np.zeros((n, 1, 1, 0), np.float32)
        except OSError as error:
            what = f"{self._directory} cannot hold what a window needs beside its result"
            raise (
                machine_error(error, what) or UserError(f"{what}: {error.strerror or error}.")
            ) from error
        return ClipCues(images, backward, forward, probs, features)

    def _make(self) -> dict[str, _Records]:
        self._directory.mkdir(parents=True, exist_ok=True)
        names = ("frames", "backward", "forward", "probs", "features")
        records = {}
        for name in names:
            # On Linux such a file never has a name, elsewhere none once it is open.
            file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 (closed by the stack)
            records[name] = _Records(cast(BinaryIO, self._files.enter_context(file)))
        before: np.ndarray | None = None
        start = 0
        while start < self._count:
            first = self._frame(start)
            # One by one where four of them would be much.
            at_once = max(1, self._at_once * frames_at_once(*first.shape[:2]) // 4)
            stop = min(start + at_once, self._count)
            frames = np.stack([first, *(self._frame(i) for i in range(start + 1, stop))])
            records["frames"].append(frames)
            if self._segment is not None:
                probs, features = self._segment(frames)
                records["probs"].append(np.asarray(probs))
                records["features"].append(np.asarray(features))
            run = frames if before is None else np.concatenate([before, frames])
            if len(run) > 1:
                records["backward"].append(self._motion.pairs(run[1:], run[:-1]))
                records["forward"].append(self._motion.pairs(run[:-1], run[1:]))
            before, start = frames[-1:], stop
        return records


class _Records:
    """Arrays of one shape and type, one after the other in a file."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)

    def append(self, arrays: np.ndarray) -> None:
        """Adds one array per entry of the first axis."""
        self._shape, self._dtype = arrays.shape[1:], arrays.dtype
        self._file.write(np.ascontiguousarray(arrays).reshape(-1).view(np.uint8).data)

    def read(self, start: int, count: int) -> np.ndarray:
        """Array number ``start`` and those after it, ``count`` in all."""
        arrays = np.empty((count, *self._shape), self._dtype)
        self._file.seek(start * (arrays.nbytes // count))
        self._file.readinto(arrays.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        return arrays
