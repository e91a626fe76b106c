"""What the methods say of a window, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

NO_PARTIAL = -(2**15)
"""Distance of a pixel that comes from no partial label, see ``FramePrediction.partial``."""


class Posterior(NamedTuple):
    """What the label of one labelled frame says of every pixel of another frame.

    Attributes:
      probs: float16, 0 … 1, which is as close as labels are told apart.
      classes: class index of each of the ``c`` columns; -1: a column that stands for none.
      trust: float16, 0 … 1: how far motion could follow the pixel from the labelled frame; None
        where ``probs`` take that into account.
    """

    probs: Float[np.ndarray, "h w c"]
    classes: Int[np.ndarray, " c"]
    trust: Float[np.ndarray, "h w"] | None = None


class FramePrediction(NamedTuple):
    """Labels of one frame of a window.

    Attributes:
      frame: which frame of the window.
      labels: class indices, ``UNLABELLED`` where nothing is said; the labelled frame has its
        own label.
      confidence: 0 … 1; 1 on the labelled frame.
      source: 0 where the label comes from the labelled frame, else the number of steps from
        there at which segmentation put it in; None if not remembered.
      image: the labelled frame's image moved along (RGB, 0 … 1), or None.
      key: the labelled frame that the label comes from, or the nearest of several; None where
        the window has no other.
      posterior: what ``labels`` was decided from, where other labelled frames have a say; else
        None.
      trust: how far motion could follow the pixel from the labelled frame, 0 … 1, or None.
      side: which of the labelled frames speaks for the label most, by its place among
        ``LabelledWindow.all_keys``; None where the label comes from ``key`` alone.
      partial: frames from the partial label that the pixel's label comes from to this one, negative
        backward in time, 0 where it is fixed here; ``NO_PARTIAL`` where it comes from none, None
        where that is so everywhere.
    """

    frame: int
    labels: Int[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    source: Int[np.ndarray, "h w"] | None = None
    image: Float[np.ndarray, "h w 3"] | None = None
    key: int | None = None
    posterior: Posterior | None = None
    trust: Float[np.ndarray, "h w"] | None = None
    side: Int[np.ndarray, "h w"] | None = None
    partial: Int[np.ndarray, "h w"] | None = None
    stated: Float[np.ndarray, "h w"] | None = None

    def image_bytes(self) -> UInt8[np.ndarray, "h w 3"] | None:
        """The moved image, RGB, 0 … 255."""
        if self.image is None:
            return None
        return np.rint(255.0 * np.clip(self.image, 0.0, 1.0)).astype(np.uint8)


class WindowPrediction(NamedTuple):
    """Labels of all frames of a window; see ``FramePrediction``."""

    labels: Int[np.ndarray, "n h w"]
    confidence: Float[np.ndarray, "n h w"]
    source: Int[np.ndarray, "n h w"] | None = None
    images: Float[np.ndarray, "n h w 3"] | None = None


def collect(count: int, frames: Iterable[FramePrediction]) -> WindowPrediction:
    """All frames of a window in one array; grows with it.

    Args:
      count: how many frames the window has.
      frames: each of them once, in any order.
    """
    ordered: list[FramePrediction | None] = [None] * count
    for labels in frames:
        ordered[labels.frame] = labels
    complete = [labels for labels in ordered if labels is not None]

    def stack(arrays: list[np.ndarray | None]) -> np.ndarray | None:
        there = [array for array in arrays if array is not None]
        return np.stack(there) if len(there) == count else None

    return WindowPrediction(
        np.stack([frame.labels for frame in complete]),
        np.stack([frame.confidence for frame in complete]),
        stack([frame.source for frame in complete]),
        stack([frame.image for frame in complete]),
    )
