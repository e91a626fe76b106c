"""The contract of f_θ on the host, and the motion that stands still."""

from __future__ import annotations

import collections
import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import UInt8


class Pairs(Protocol):
    """Estimates backward flow for a batch of image pairs."""

    def __call__(
        self, target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        """See ``Motion``."""
        ...


class Clip(NamedTuple):
    """Consecutive frames, for a motion that must know more than the pair it is asked for.

    Attributes:
      frames: RGB.
      sequence: their sequence in the source of the video; empty for frames of no video.
      names: their names there, as many as frames; empty for frames of no video.
    """

    frames: UInt8[np.ndarray, "n h w 3"]
    sequence: str = ""
    names: tuple[str, ...] = ()


class Motion(NamedTuple):
    """Motion estimation: host arrays in, host arrays out.

    Attributes:
      pairs: ``pairs(target, source, initial=None) -> flow``. ``target``, ``source``: uint8
        ``[n, H, W, 3]`` RGB. ``flow``: float32 ``[n, H, W, 2]``, on ``target``, ``(dx, dy)`` in
        pixels, into ``source``; a void vector is NaN. ``initial``: a first guess of ``flow``,
        which a motion is free to ignore.
      in_clip: the same motion for pairs of frames of one clip; None for a motion that looks at
        nothing but the pair. See ``within``.
    """

    pairs: Pairs
    in_clip: Callable[[Clip], Motion] | None = None

    def within(self, clip: Clip) -> Motion:
        """The motion for pairs out of this clip: what looks at further frames finds them there."""
        return self if self.in_clip is None else self.in_clip(clip)


class FramePlaces:
    """Where pictures stand in a clip, told by their content: callers need pass no indices on."""

    def __init__(self, frames: UInt8[np.ndarray, "n h w 3"]):
        self.frames = frames
        self._places: dict[int, list[int]] = collections.defaultdict(list)
        for place, frame in enumerate(frames):
            self._places[_checksum(frame)].append(place)

    def pair(self, target: np.ndarray, source: np.ndarray) -> tuple[int, int] | None:
        """Places of two frames, or None where either is not of the clip.

        Of frames that look the same, the two that are closest: the flow between them is the same.
        """
        places = [(t, s) for t in self._of(target) for s in self._of(source)]
        return min(places, key=lambda pair: abs(pair[0] - pair[1]), default=None)

    def _of(self, frame: np.ndarray) -> list[int]:
        alike = self._places.get(_checksum(frame), [])
        return [place for place in alike if np.array_equal(self.frames[place], frame)]


def _checksum(frame: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(frame).data)


def zero_motion() -> Motion:
    """Nothing moves: every label stays where it is (the ``static`` floor as a motion)."""

    def pairs(
        target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        return np.zeros((*target.shape[:3], 2), np.float32)

    return Motion(pairs)
