"""What the API hands out: labels in the user's ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from wrp_jax.types import UserError


class FrameLabels(NamedTuple):
    """Labels of one frame.

    Attributes:
      frame: its index in the clip.
      labels: ids of the classes, uint8; 255 where a method gives no label and there is no void
        class.
      confidence: float32, 0 … 1: how sure the label is. How far it can be believed, the
        reliability chart of a report shows, where there are true labels.
      key: index of the labelled frame that the labels come from, of two the nearest; None
        where they come from segmentation alone (``Model.segment``).
      steps: 0 where a pixel's label comes from the labelled frame, else the number of steps from
        there at which segmentation put it in; None where a method does not remember.
      image: the labelled frame moved along with its labels, RGB; None unless
        ``config.propagation.move_images`` is set and the method can.
    """

    frame: int
    labels: UInt8[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    key: int | None = None
    steps: Int[np.ndarray, "h w"] | None = None
    image: UInt8[np.ndarray, "h w 3"] | None = None


class VideoLabels(NamedTuple):
    """Labels of several frames, in the order of the video.

    Attributes:
      labels: ids of the classes, uint8.
      confidence: float32, 0 … 1.
      frames: the index of each in the clip: 0 … n-1 where all of them are labelled.
    """

    labels: UInt8[np.ndarray, "n h w"]
    confidence: Float[np.ndarray, "n h w"]
    frames: Int[np.ndarray, " n"]


def collect(frames: Iterable[FrameLabels]) -> VideoLabels:
    """Stacks what ``Model.propagate`` or ``Model.segment`` yields.

    Args:
      frames: labels of frames, in any order.

    Returns:
      The same in the order of the video; memory grows with it.

    Raises:
      UserError: there is no frame.

    Example:
      >>> def label(frame):
      ...     return FrameLabels(frame, np.full((1, 2), frame, np.uint8), np.ones((1, 2), "f4"))
      >>> collect([label(2), label(1)]).labels.tolist()
      [[[1, 1]], [[2, 2]]]
    """
    ordered = sorted(frames, key=lambda labels: labels.frame)
    if not ordered:
        raise UserError(
            "there are no labelled frames to collect: the iterator is empty or used up."
        )
    return VideoLabels(
        np.stack([labels.labels for labels in ordered]),
        np.stack([labels.confidence for labels in ordered]),
        np.array([labels.frame for labels in ordered]),
    )
