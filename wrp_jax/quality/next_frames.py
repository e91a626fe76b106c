"""Which frames to label next: greedily those that would remove most of the expected error.

A label helps the frames around it: less the further they are away. What a frame's own error
(``100 - miou``) loses is ``share ** distance``, and what an earlier choice has removed cannot be
gained again, so that choices spread out.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from wrp_jax.quality.table import FrameQuality

NEXT_FRAMES_FILE = "next_frames.csv"
BUDGET = 10
"""Frames that ``next_frames.csv`` lists."""
COLUMNS = ("rank", "sequence", "frame", "gain", "total", "miou", "frames")
_SHARE = 0.9
"""What is left of a label's help one frame further away. After ten frames a third is left, as of
the labels of motion alone on the shared sets."""

_REACH = 100
"""Frames on either side that a label helps: further away its help would be below 0.003 %."""
_HELP = _SHARE ** np.abs(np.arange(-_REACH, _REACH + 1.0))


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
    errors = {
        sequence: np.array([0.0 if math.isnan(r.miou) else 100.0 - r.miou for r in own])
        for sequence, own in by_sequence.items()
    }
    # A label that is there already gives no other.
    free = {
        sequence: np.array([r.distance > 0 for r in own]) for sequence, own in by_sequence.items()
    }
    gains = {sequence: _gains(error) * free[sequence] for sequence, error in errors.items()}
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
        helped = slice(max(place - _REACH, 0), place + _REACH + 1)
        removed = _HELP[helped.start - place + _REACH :][: len(errors[sequence][helped])]
        removed = removed * errors[sequence][helped]
        errors[sequence][helped] -= removed
        free[sequence][place] = False
        gains[sequence] = _gains(errors[sequence]) * free[sequence]
        total += gain / count
        row = by_sequence[sequence][place]
        reached = int((removed >= 0.1).sum())
        chosen.append(NextFrame(sequence, row.frame, gain / count, total, row.miou, reached))
    return chosen


def _gains(errors: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """What the label of each frame of a sequence would remove."""
    return np.convolve(errors, _HELP)[_REACH : len(errors) + _REACH]


def next_frames_csv(chosen: Sequence[NextFrame]) -> bytes:
    """The frames as a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, frame in enumerate(chosen, 1):
        figures = f"{frame.gain:.3f}", f"{frame.total:.3f}", f"{frame.miou:.2f}"
        writer.writerow([rank, frame.sequence, frame.frame, *figures, frame.frames])
    return text.getvalue().encode()
