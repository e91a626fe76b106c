"""Temporal consistency: how many pixels change their label on the way to the next frame.

Labels that are right change, too: at borders, where things come into view, where the flow is wrong.
So a share says something beside that of the truth, or of another method on the same frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer

_ROWS = 256  # that are looked at together: memory does not grow with the frame's height


def changed_along(
    target: Integer[np.ndarray, "h w"],
    source: Integer[np.ndarray, "h w"],
    flow: Float[np.ndarray, "h w 2"],
) -> Int[np.ndarray, " 2"]:
    """Counts the pixels whose label is another one where the flow points.

    Args:
      target: labels of the frame on which the flow lives.
      source: labels of the frame into which it points.
      flow: ``(dx, dy)`` in pixels. Pixels of which it is not finite, or leads out of the frame, are
        not counted; in between, the nearest pixel has the label.

    Returns:
      int64: pixels, and those of them that change.
    """
    h, w = target.shape
    total, column = np.zeros(2, np.int64), np.arange(w, dtype=np.float32)
    labels = source.reshape(-1)
    for top in range(0, h, _ROWS):
        rows = slice(top, min(top + _ROWS, h))
        row = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        # NaN lies nowhere: it fails both comparisons.
        x, y = flow[rows, :, 0] + column, flow[rows, :, 1] + row
        inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        x, y = (np.rint(np.where(inside, ends, 0)).astype(np.int32) for ends in (x, y))
        changed = inside & (labels.take(w * y + x) != target[rows])
        total += [np.count_nonzero(inside), np.count_nonzero(changed)]
    return total


class Flips:
    """Sums over pairs of neighbouring frames.

    Attributes:
      sums: int64 ``[3, 2]``, the whole state: pixels and those that change, of all pairs, of those
        with true labels on both frames, and of these true labels themselves. Sums of many windows
        merge by addition.
    """

    def __init__(self) -> None:
        self.sums: Int[np.ndarray, "3 2"] = np.zeros((3, 2), np.int64)

    def add(
        self, changed: Int[np.ndarray, " 2"], of_truth: Int[np.ndarray, " 2"] | None = None
    ) -> None:
        """Adds a pair.

        Args:
          changed: of the labels, see ``changed_along``.
          of_truth: of the true labels of the same frames, along the same flow; None without any.
        """
        self.sums[0] += changed
        if of_truth is not None:
            self.sums[1] += changed
            self.sums[2] += of_truth

    def summary(self) -> dict[str, Any]:
        """In %: ``all`` pairs; ``scored``, those with true labels; ``truth``, what these do.

        None where there is no such pair.
        """
        return {
            name: round(100.0 * float(changed / pixels), 4) if pixels else None
            for name, (pixels, changed) in zip(("all", "scored", "truth"), self.sums, strict=True)
        }
