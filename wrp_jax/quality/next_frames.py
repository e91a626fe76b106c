"""Which frames to label next: greedily those that would remove most of the expected error.

Errors grow with the way that a label has come, about as the root of the distance: with powers
between 0.3 (CamVid) and 0.9 (DAVIS) for motion-only. A frame whose error (``100 - miou``) is E at
distance d from the nearest label is thus expected to keep ``E * sqrt(k / d)`` where a label is
given k frames away, if k is smaller than d. What an earlier choice has removed cannot be gained
again, and frames that have come near to a label gain little from another: choices spread out.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from wrp_jax.quality.estimate import UNREACHED
from wrp_jax.quality.table import FrameQuality

NEXT_FRAMES_FILE = "next_frames.csv"
BUDGET = 10
"""Frames that ``next_frames.csv`` lists."""
COLUMNS = ("rank", "sequence", "frame", "gain", "total", "miou", "frames")
_REACH = 100
"""Frames on either side that a label helps, and the largest distance that counts."""


@dataclasses.dataclass(frozen=True)
class NextFrame:
    """A frame to label.

    Attributes:
      sequence, frame: names.
      gain: expected mIoU that the label adds, in percentage points of the mean over all frames.
      total: the same of it and all before it.
      miou: that is expected of the frame now, in %.
      frames: how many frames it would help by at least a tenth of a point each.
    """

    sequence: str
    frame: str
    gain: float
    total: float
    miou: float
    frames: int


def next_frames(rows: Sequence[FrameQuality], budget: int) -> list[NextFrame]:
    """Chooses frames, the most useful first.

    Args:
      rows: of ``quality.csv``; rows of a sequence in the order of time.
      budget: frames to choose at most; fewer where nothing is left to gain.
    """
    by_sequence: dict[str, list[FrameQuality]] = {}
    for row in rows:
        by_sequence.setdefault(row.sequence, []).append(row)
    beyond = min((row.distance for row in rows if row.reason == UNREACHED), default=_REACH + 1)
    states = {sequence: _State.of(own, beyond - 1) for sequence, own in by_sequence.items()}
    gains = {sequence: state.gains() for sequence, state in states.items()}
    count = max(len(rows), 1)
    chosen: list[NextFrame] = []
    total = 0.0
    while len(chosen) < budget:
        best: tuple[float, str, int] | None = None
        for sequence, gain in gains.items():
            place = int(np.argmax(gain))
            if gain[place] > 0 and (best is None or gain[place] > best[0]):
                best = float(gain[place]), sequence, place
        if best is None:
            break
        gain, sequence, place = best
        reached = int((states[sequence].label(place) >= 0.1).sum())
        gains[sequence] = states[sequence].gains()
        total += gain / count
        row = by_sequence[sequence][place]
        chosen.append(NextFrame(sequence, row.frame, gain / count, total, row.miou, reached))
    return chosen


@dataclasses.dataclass
class _State:
    """A sequence, and what is expected of its frames after the choices so far.

    Attributes:
      errors: of each frame, in %.
      distance: to its nearest label, at most ``_REACH``; 0: it has one.
      reach: frames that a label helps on either side, by the frame that is helped.
    """

    errors: Float[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]
    reach: Float[np.ndarray, " n"]

    @staticmethod
    def of(rows: Sequence[FrameQuality], horizon: int) -> _State:
        """Before any choice; frames out of reach are helped from ``horizon`` frames away."""
        errors = [0.0 if math.isnan(row.miou) else 100.0 - row.miou for row in rows]
        reach = [horizon if row.reason == UNREACHED else _REACH for row in rows]
        distance = np.minimum([row.distance for row in rows], _REACH)
        return _State(np.array(errors), distance.astype(float), np.array(reach, float))

    def _lost(self, apart: int | Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """What each frame's error loses where a label is given so many frames away."""
        near = (apart < self.distance) & (apart <= self.reach)
        kept = np.sqrt(apart / np.maximum(self.distance, 1.0))
        return np.where(near, self.errors * (1.0 - kept), 0.0)

    def gains(self) -> Float[np.ndarray, " n"]:
        """What the label of each frame would remove; 0 where there is one already."""
        gains = self._lost(0)
        for apart in range(1, min(int(self.distance.max(initial=0)), len(gains))):
            lost = self._lost(apart)
            gains[:-apart] += lost[apart:]
            gains[apart:] += lost[:-apart]
        return np.where(self.distance > 0, gains, 0.0)

    def label(self, place: int) -> Float[np.ndarray, " n"]:
        """Gives a frame its label; returns what each error has lost."""
        apart = np.abs(np.arange(len(self.errors)) - place)
        lost = self._lost(apart)
        nearer = (apart < self.distance) & (apart <= self.reach)
        self.errors = self.errors - lost
        self.distance = np.where(nearer, apart, self.distance).astype(float)
        self.reach = np.where(nearer, _REACH, self.reach).astype(float)
        return lost


def next_frames_csv(chosen: Sequence[NextFrame]) -> bytes:
    """The frames as a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, frame in enumerate(chosen, 1):
        figures = f"{frame.gain:.3f}", f"{frame.total:.3f}", f"{frame.miou:.2f}"
        writer.writerow([rank, frame.sequence, frame.frame, *figures, frame.frames])
    return text.getvalue().encode()
