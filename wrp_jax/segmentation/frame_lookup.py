"""Which frame of a video a picture is, told by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

from wrp_jax.data.source import VideoSource


class FrameLookup:
    """Finds frames by their pixels, so that whoever hands frames on need not hand on names.

    Frames are read when they are first needed, in the order given: a run that goes through a
    video reads each of them once. Frames that look the same are one.
    """

    def __init__(self, source: VideoSource, frames: Iterable[tuple[str, str]]):
        """Reads nothing yet.

        Args:
          source: the video.
          frames: (sequence, frame) of all that can be asked for.
        """
        self._source = source
        self._rest = iter(dict.fromkeys(frames))
        self._found: dict[bytes, tuple[str, str]] = {}

    def find(self, picture: UInt8[np.ndarray, "h w 3"]) -> tuple[str, str]:
        """Sequence and name of a frame.

        Raises:
          KeyError: it is none of the video's frames.
        """
        wanted = _digest(picture)
        while wanted not in self._found:
            place = next(self._rest, None)
            if place is None:
                raise KeyError("a picture that is no frame of the video")
            self._found.setdefault(_digest(self._source.frame(*place)), place)
        return self._found[wanted]


def _digest(picture: np.ndarray) -> bytes:
    shape = np.array(picture.shape, np.int64).tobytes()
    return hashlib.blake2b(shape + np.ascontiguousarray(picture).tobytes(), digest_size=16).digest()
