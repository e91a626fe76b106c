"""Cues of a window of any length, read in sections: held, made on demand, or kept in files."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Int, UInt8

from wrp_jax.propagation.array_file import ArrayFile
from wrp_jax.propagation.cues import ChainInputs, clip_cues, lay_out
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import Clip, ClipCues, Motion, Segment, clip_of


@runtime_checkable
class WindowCues(Protocol):
    """Cues of consecutive frames, of which a section at a time is in memory."""

    @property
    def count(self) -> int:
        """Number of frames."""
        ...

    @property
    def clip(self) -> Clip:
        """The frames."""
        ...

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """Cues of the frames ``start`` to ``stop - 1``, host arrays.

        Without ``semantics``, ``probs`` and ``features`` may have no channels.
        """
        ...


def window_chain(
    cues: WindowCues, orders: Int[np.ndarray, "b frames"], *, semantics: bool = True
) -> ChainInputs:
    """``lay_out`` of the cues of the frames that chains visit, and of no others. Host arrays.

    Args:
      cues: of the window.
      orders: as in ``chain_cues``.
      semantics: see ``WindowCues``.
    """
    parts = []
    for order in orders:
        first, last = int(order.min()), int(order.max())
        section = cues.section(first, last + 1, semantics=semantics)
        parts.append(lay_out(section, order[None] - first))
    # Time leads and chains follow, in every field.
    return jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)


@dataclasses.dataclass(frozen=True)
class HeldCues:
    """Sections of cues that are in memory as a whole.

    Attributes:
      cues: of the frames.
      sequence, names: of ``Clip``.
    """

    cues: ClipCues
    sequence: str = ""
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.cues.frames)

    @property
    def clip(self) -> Clip:
        """See ``WindowCues``."""
        return clip_of(np.asarray(self.cues.frames), self.sequence, self.names)

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """See ``WindowCues``."""
        cues = self.cues
        channels = slice(None) if semantics else slice(0)
        return ClipCues(
            frames=np.asarray(cues.frames[start:stop]),
            flow_backward=np.asarray(cues.flow_backward[start : stop - 1]),
            flow_forward=np.asarray(cues.flow_forward[start : stop - 1]),
            probs=np.asarray(cues.probs[start:stop, ..., channels]),
            features=np.asarray(cues.features[start:stop, ..., channels]),
        )


@dataclasses.dataclass(frozen=True)
class MadeCues:
    """Sections that are made anew each time they are asked for."""

    clip: Clip
    motion: Motion
    segment: Segment | None

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.clip.count

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """See ``WindowCues``."""
        segment = self.segment if semantics else None
        return clip_cues(self.clip, self.motion, segment, start, stop)


class StoredCues:
    """Cues that are made once, a few frames at a time, and kept in files without a name.

    So are the frames: each is decoded once, and from then on read from there.

    Memory does not grow with the window; the files take some ``19 + 4 c`` bytes per pixel and
    frame, and go when this is closed or the process ends, however it ends.

    The cues are those of ``clip_cues`` of the whole window, to the last bit.

    Example:
      >>> with StoredCues(folder, clip, motion, segment) as cues:  # doctest: +SKIP
      ...     window = LabelledWindow(cues, (Keyframe(10, label),), classes, motion)
      ...     for frame in label_frames("warp-inpaint", config, window):
      ...         ...
    """

    def __init__(
        self,
        directory: Path,
        clip: Clip,
        motion: Motion,
        segment: Segment | None,
        at_once: int = 4,
    ):
        """Makes nothing yet: methods that read no cues cost nothing.

        Args:
          directory: where the files go; made if missing.
          clip: the frames; each is read once, in order, unless a motion looks ahead.
          motion: f_θ, run on every pair of neighbours, in both directions of time.
          segment: g_ψ; None: ``probs`` and ``features`` have no channels.
          at_once: frames that are handed to it together; a quarter of them at 4K.
        """
        self._directory, self._original = directory, clip
        self._motion, self._segment = motion, segment
        self._at_once = at_once
        self._files = contextlib.ExitStack()
        self._kept: ArrayFile | None = None  # frames
        self._records: dict[str, ArrayFile] | None = None

    def __enter__(self) -> StoredCues:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def count(self) -> int:
        """Number of frames."""
        return self._original.count

    @property
    def clip(self) -> Clip:
        """The frames, from the files as soon as they are there."""
        return self._original._replace(frame=self._frame)

    def _frame(self, position: int) -> UInt8[np.ndarray, "h w 3"]:
        if self._kept is None or position >= self._kept.count:
            return self._original.frame(position)
        return self._kept.read(position, 1)[0]

    def section(self, start: int, stop: int, *, semantics: bool = True) -> ClipCues:
        """See ``WindowCues``.

        Raises:
          OutputError: the files cannot be written.
          MachineError: the disk is full.
        """
        if self._records is None:
            self._records = self._make()
        records, pairs = self._records, stop - 1 - start
        frames = records["frames"].read(start, stop - start)
        n, h, w, _ = frames.shape
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
        return ClipCues(frames, backward, forward, probs, features)

    def _make(self) -> dict[str, ArrayFile]:
        names = ("frames", "backward", "forward", "probs", "features")
        records = {name: self._files.enter_context(ArrayFile(self._directory)) for name in names}
        self._kept = kept = records["frames"]
        clip = self.clip
        start = 0
        while start < clip.count:
            first = clip.frame(start)
            # One by one where four of them would be much.
            at_once = max(1, self._at_once * frames_at_once(*first.shape[:2]) // 4)
            now = range(start, min(start + at_once, clip.count))
            kept.append(np.stack([first, *map(clip.frame, now[1:])]))
            if self._segment is not None:
                probs, features = self._segment(clip, now)
                records["probs"].append(np.asarray(probs))
                records["features"].append(np.asarray(features))
            run = range(max(start - 1, 0), now.stop)
            if len(run) > 1:
                records["backward"].append(self._motion(clip, run[1:], run[:-1]))
                records["forward"].append(self._motion(clip, run[:-1], run[1:]))
            start = now.stop
        return records
