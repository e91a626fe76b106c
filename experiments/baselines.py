"""What the estimate of a frame's quality is compared with, and what a flag of doubt is worth.

References:
  Zhang, Borse, Cai, Wang, Bi, Jiang, Porikli, "Perceptual Consistency in Video Segmentation",
  WACV 2022, arXiv 2110.12385;
  Wannenwetsch, Keuper, Roth, "ProbFlow", ICCV 2017 (sparsification).
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Integer, UInt8

from wrp_jax.evaluation.reliability import BINS

_GRID = 24, 32
"""Places down and across at which pictures are compared."""
_CELL = 8
_BINS = 8  # directions of gradients
FLAGGED = 0.05
"""Share of the pixels that a person looks at again."""


def descriptors(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "n d"]:
    """What a picture looks like at the places of a coarse grid.

    Mean colour (CIE Lab) and directions of gradients of a cell and of the three by three around
    it. The paper takes the features of a network that knows ImageNet; there is none here.
    """
    down, across = _GRID
    size = across * _CELL, down * _CELL
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.float32) / 100.0
    grey = np.asarray(lab[..., 0], np.float32)
    dx, dy = (cv2.Sobel(grey, -1, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    length = np.hypot(dx, dy)
    turn = (np.arctan2(dy, dx) / (2 * np.pi) % 1.0 * _BINS).astype(int) % _BINS
    planes = [lab, *(10 * length[..., None] * (turn == b)[..., None] for b in range(_BINS))]
    cells = np.concatenate(planes, axis=2).reshape(down, _CELL, across, _CELL, -1).mean((1, 3))
    wide = np.asarray(cv2.blur(cells, (3, 3)))
    return np.concatenate([cells, wide], axis=2).reshape(down * across, -1)


def perceptual_consistency(
    image: UInt8[np.ndarray, "h w 3"],
    labels: Integer[np.ndarray, "h w"],
    key_image: UInt8[np.ndarray, "h w 3"],
    key_labels: Integer[np.ndarray, "h w"],
    num_classes: int,
) -> float:
    """How well what looks alike in a frame and in the labelled one has the same label, 0 … 1.

    Of each place the best match among places of its own class over the best of all, the mean over
    the places of both frames. The paper compares neighbouring frames; the labelled one tells more.
    """
    both = np.stack([descriptors(image), descriptors(key_image)])
    both = (both - both.mean((0, 1))) / (both.std((0, 1)) + 1e-6)
    both /= np.linalg.norm(both, axis=2, keepdims=True) + 1e-6
    likeness = 0.5 + 0.5 * both[0] @ both[1].T
    classes = [_at_places(one) for one in (labels, key_labels)]
    inside = [(one >= 0) & (one < num_classes) for one in classes]
    same = np.where(classes[0][:, None] == classes[1][None, :], likeness, 0.0)
    ways = [
        (same.max(axis) / np.maximum(likeness.max(axis), 1e-6))[one]
        for axis, one in ((1, inside[0]), (0, inside[1]))
    ]
    values = np.concatenate(ways)
    return float(values.mean()) if len(values) else 0.0


def _at_places(labels: Integer[np.ndarray, "h w"]) -> Integer[np.ndarray, " n"]:
    down, across = ((np.arange(n) + 0.5) / n for n in _GRID)
    rows, columns = ((x * n).astype(int) for x, n in zip((down, across), labels.shape, strict=True))
    return labels[np.ix_(rows, columns)].ravel()


def removed(counts: Integer[np.ndarray, "2 256"], share: float = FLAGGED) -> tuple[float, float]:
    """Share of the errors that go when the least sure pixels are fixed, and with a perfect flag.

    Of pixels that are equally sure a part is flagged, errors in proportion. 1 and 1 of no errors.
    """
    pixels, wrong = counts[0].astype(float), (counts[0] - counts[1]).astype(float)
    flagged, errors = share * pixels.sum(), wrong.sum()
    if not errors:
        return 1.0, 1.0
    before = np.cumsum(pixels) - pixels
    part = np.clip((flagged - before) / np.maximum(pixels, 1.0), 0.0, 1.0)
    return float((part * wrong).sum() / errors), float(min(flagged / errors, 1.0))


def expected_error(
    counts: Integer[np.ndarray, "2 256"], confidence: Float[np.ndarray, " 256"]
) -> float:
    """Expected calibration error, 0 … 1, where each level stands for another confidence."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    pixels, right, said = (
        np.bincount(place, x, minlength=BINS)
        for x in (counts[0], counts[1], counts[0] * confidence)
    )
    return float(np.abs(right - said).sum() / max(pixels.sum(), 1.0))
