"""The contract of f_θ on the host, and the motion that stands still."""

from __future__ import annotations

import hashlib
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
      count: number of frames.
      frame: reads one, RGB; they need not all be in memory.
      sequence: their sequence in the source of the video; empty for frames of no video.
      names: their names there, as many as frames; empty for frames of no video.
    """

    count: int
    frame: Callable[[int], UInt8[np.ndarray, "h w 3"]]
    sequence: str = ""
    names: tuple[str, ...] = ()


def clip_of(
    frames: UInt8[np.ndarray, "n h w 3"], sequence: str = "", names: tuple[str, ...] = ()
) -> Clip:
    """A clip whose frames are in memory."""
    return Clip(len(frames), lambda place: frames[place], sequence, names)


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

    def __init__(self, clip: Clip):
        self._clip = clip
        self._places: dict[bytes, list[int]] | None = None

    def pair(
        self, target: UInt8[np.ndarray, "h w 3"], source: UInt8[np.ndarray, "h w 3"]
    ) -> tuple[int, int] | None:
        """Places of two frames, or None where either is not of the clip.

        Of frames that look the same, the two that are closest: the flow between them is the same.
        """
        if self._places is None:
            self._places = {}
            for place in range(self._clip.count):
                self._places.setdefault(_digest(self._clip.frame(place)), []).append(place)
        targets, sources = (self._places.get(_digest(f), []) for f in (target, source))
        places = [(t, s) for t in targets for s in sources]
        return min(places, key=lambda pair: abs(pair[0] - pair[1]), default=None)


def _digest(frame: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()


def zero_motion() -> Motion:
    """Nothing moves: every label stays where it is (the ``static`` floor as a motion)."""

    def pairs(
        target: np.ndarray, source: np.ndarray, initial: np.ndarray | None = None
    ) -> np.ndarray:
        return np.zeros((*target.shape[:3], 2), np.float32)

    return Motion(pairs)
