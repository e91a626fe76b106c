"""The contract of f_θ on the host, and the motion that stands still."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import UInt8

from wrp_jax.types import Clip


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
