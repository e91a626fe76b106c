"""Cues of a window of any length, read in sections: held, made on demand, or kept in files."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Int, UInt8

from wrp_jax.propagation.array_file import ArrayFile
from wrp_jax.propagation.cues import ChainInputs, clip_cues, lay_out
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import Clip, ClipCues, Motion, Segment, clip_of

Flows = tuple[Literal["backward", "forward"], ...]
BOTH: Flows = ("backward", "forward")
"""The flows of ``ClipCues`` by their direction."""


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

    def section(
        self, start: int, stop: int, *, semantics: bool = True, flows: Flows = BOTH
    ) -> ClipCues:
        """Cues of the frames ``start`` to ``stop - 1``, host arrays.

        Without ``semantics``, ``probs`` and ``features`` may have no channels; a flow that is not
        among ``flows`` may be empty.
        """
        ...


def window_chain(
    cues: WindowCues,
    orders: Int[np.ndarray, "b frames"],
    *,
    semantics: bool = True,
    reverse: bool = True,
    size: tuple[int, int] | None = None,
) -> ChainInputs:
    """``lay_out`` of the cues of the frames that chains visit, and of no others. Host arrays.

    Args:
      cues: of the window.
      orders: as in ``chain_cues``; each leads one way in time.
      semantics: see ``WindowCues``.
      reverse: see ``lay_out``.
      size: height and width to which frames, flows and probabilities are filled up with zeros,
        below and on the right; None: as they are.
    """
    parts = []
    for order in orders:
        first, last = int(order.min()), int(order.max())
        ways: Flows = ("backward",) if order[-1] > order[0] else ("forward",)
        section = cues.section(
            first, last + 1, semantics=semantics, flows=BOTH if reverse else ways
        )
        parts.append(lay_out(section, order[None] - first, reverse=reverse))
    frame = parts[0].flow.shape[2:4]

    def side_by_side(*arrays: np.ndarray) -> np.ndarray:
        # Time leads and chains follow, in every field.
        if size is None or arrays[0].shape[2:4] != frame:
            return np.concatenate(arrays, axis=1)
        steps, _, *_, channels = arrays[0].shape
        filled = np.zeros((steps, len(arrays), *size, channels), arrays[0].dtype)
        for b, array in enumerate(arrays):
            filled[:, b, : frame[0], : frame[1]] = array[:, 0]
        return filled

    return jax.tree.map(side_by_side, *parts)


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

    def section(
        self, start: int, stop: int, *, semantics: bool = True, flows: Flows = BOTH
    ) -> ClipCues:
        """See ``WindowCues``; both flows are there."""
        del flows
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

    def section(
        self, start: int, stop: int, *, semantics: bool = True, flows: Flows = BOTH
    ) -> ClipCues:
        """See ``WindowCues``; both flows are made."""
        del flows
        segment = self.segment if semantics else None
        return clip_cues(self.clip, self.motion, segment, start, stop)


class StoredCues:
    """Cues that are made once, when they are first asked for, and kept in files without a name.

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
          clip: the frames; each is read once, in order.
          motion: f_θ, run on pairs of neighbours, in the directions of time that are asked for.
          segment: g_ψ; None: ``probs`` and ``features`` have no channels.
          at_once: frames that are handed to it together; a quarter of them at 4K.
        """
        self._directory, self._original = directory, clip
        self._motion, self._segment = motion, segment
        self._at_once = at_once
        self._stack = contextlib.ExitStack()
        self._files: dict[str, ArrayFile] = {}
        self._made = {way: np.zeros(max(clip.count - 1, 0), bool) for way in BOTH}

    def __enter__(self) -> StoredCues:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def count(self) -> int:
        """Number of frames."""
        return self._original.count

    @property
    def clip(self) -> Clip:
        """The frames, from the files as soon as cues were asked for."""
        return self._original._replace(frame=self._frame)

    def _frame(self, position: int) -> UInt8[np.ndarray, "h w 3"]:
        if "frames" not in self._files:
            return self._original.frame(position)
        self._keep_frames(position + 1)
        return self._files["frames"].read(position, 1)[0]

    def section(
        self, start: int, stop: int, *, semantics: bool = True, flows: Flows = BOTH
    ) -> ClipCues:
        """See ``WindowCues``.

        Raises:
          OutputError: the files cannot be written.
          MachineError: the disk is full.
        """
        pairs = stop - 1 - start
        self._keep_frames(stop)
        frames = self._files["frames"].read(start, stop - start)
        n, h, w, _ = frames.shape
        # Few at a time, of large frames one by one.
        at_once = max(1, self._at_once * frames_at_once(h, w) // 4)
        self._make_flows(start, stop - 1, flows, at_once)
        backward, forward = (
            self._files[way].read(start, pairs)
            if pairs and way in flows
            else np.zeros((0, h, w, 2), np.float32)
            for way in BOTH
        )
        if semantics and self._segment is not None:
            self._make_semantics(self._segment, stop, at_once)
            probs = self._files["probs"].read(start, n)
            features = self._files["features"].read(start, n)
        else:
            probs = np.zeros((n, h, w, 0), np.float32)
            features = np.zeros((n, 1, 1, 0), np.float32)
        return ClipCues(frames, backward, forward, probs, features)

    def _file(self, name: str) -> ArrayFile:
        if name not in self._files:
            self._files[name] = self._stack.enter_context(ArrayFile(self._directory))
        return self._files[name]

    def _keep_frames(self, stop: int) -> None:
        kept = self._file("frames")
        for position in range(kept.count, stop):
            kept.append(self._original.frame(position)[None])

    def _make_flows(self, start: int, stop: int, flows: Flows, at_once: int) -> None:
        """Flows between the frames ``start`` to ``stop``, as far as there are none."""
        if all(self._made[way][start:stop].all() for way in flows):
            return
        if flows == BOTH:  # of all pairs both will be asked for: fill the batches of a network
            start -= start % at_once
            stop = min(-(-stop // at_once) * at_once, self.count - 1)
        missing = {way: np.flatnonzero(~self._made[way][start:stop]) + start for way in flows}
        # Both directions of a pair together: a motion may read one for the other.
        for first in range(start, stop, at_once):
            for way, places in missing.items():
                now = places[(places >= first) & (places < first + at_once)]
                if not len(now):
                    continue
                ends = (now + 1, now) if way == "backward" else (now, now + 1)
                arrays = np.asarray(self._motion(self.clip, *ends))
                for place, array in zip(now, arrays, strict=True):
                    self._file(way).put(int(place), array[None])
                self._made[way][now] = True

    def _make_semantics(self, segment: Segment, stop: int, at_once: int) -> None:
        probs = self._file("probs")
        while probs.count < stop:
            now = range(probs.count, min(probs.count + at_once, self.count))
            self._keep_frames(now.stop)
            said, features = segment(self.clip, now)
            self._file("features").append(np.asarray(features))
            probs.append(np.asarray(said))
