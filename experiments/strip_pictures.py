"""What does a window look like at the size of a page? Its frames and labels, scaled down."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Bool, Integer, UInt8

MAX_PIXELS = 120_000
"""Pictures above this area are scaled down."""


@dataclasses.dataclass(frozen=True)
class WindowPictures:
    """One window as the strip shows it.

    Attributes:
      sequence, key: its sequence and labelled frame, or both of them.
      names, distances: per frame, in order; distances are signed, to the nearest labelled frame.
      images: uint8 ``[n, h, w, 3]`` RGB.
      labels: by method, class indices ``[n, h, w]``.
      truth: class indices ``[n, h, w]``, read where ``has_truth``.
      has_truth: per frame.
    """

    sequence: str
    key: str
    names: tuple[str, ...]
    distances: tuple[int, ...]
    images: UInt8[np.ndarray, "n h w 3"]
    labels: Mapping[str, Integer[np.ndarray, "n h w"]]
    truth: Integer[np.ndarray, "n h w"]
    has_truth: Bool[np.ndarray, "n"]


def picture_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which the strip shows a frame: at most ``MAX_PIXELS``."""
    scale = min(1.0, (MAX_PIXELS / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink_image(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The frame at the size of the strip."""
    height, width = picture_size(*image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def shrink_labels(labels: Integer[np.ndarray, "h w"]) -> Integer[np.ndarray, "h2 w2"]:
    """Labels at the size of the strip: some of them, as they are."""
    full_height, full_width = labels.shape
    height, width = picture_size(full_height, full_width)
    rows = (np.arange(height) + 0.5) * full_height / height
    columns = (np.arange(width) + 0.5) * full_width / width
    return labels[rows.astype(int)[:, None], columns.astype(int)]
