"""Confusion matrices and the scores made of them, on the host.

Row: true class. Column: predicted class; the last column counts pixels on which a method says
nothing. Matrices are plain sums: those of many frames, windows and processes add up to the
matrix of all of them, and one division at the end makes the score.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, Integer


def confusion(
    truth: Integer[np.ndarray, "*shape"],
    prediction: Integer[np.ndarray, "*shape"],
    num_classes: int,
) -> Integer[np.ndarray, "c c+1"]:
    """Counts of (true class, predicted class) over all pixels.

    Args:
      truth: class indices, 0 … num_classes - 1.
      prediction: class indices; anything else, such as ``types.UNLABELLED``, is unlabelled.
      num_classes: number of classes C, void included.

    Returns:
      int64 ``[C, C + 1]``; the last column counts unlabelled pixels.

    Raises:
      ValueError: the truth holds a value that is no class index.
    """
    truth = truth.astype(np.int64).ravel()
    if truth.size and not 0 <= truth.min() <= truth.max() < num_classes:
        raise ValueError(
            f"truth holds values {truth.min()} … {truth.max()}, not 0 … {num_classes - 1}"
        )
    prediction = prediction.astype(np.int64).ravel()
    known = (prediction >= 0) & (prediction < num_classes)
    column = np.where(known, prediction, num_classes)
    counts = np.bincount(
        truth * (num_classes + 1) + column, minlength=num_classes * (num_classes + 1)
    )
    return counts.reshape(num_classes, num_classes + 1)


def iou(matrix: Integer[np.ndarray, "c c+1"], void: Sequence[bool] = ()) -> Float[np.ndarray, "c"]:
    """Intersection over union per class, 0 … 1.

    Args:
      matrix: of ``confusion``.
      void: per class, whether its true pixels are left out. A void or missing prediction on
        a pixel of another class stays a miss of that class.

    Returns:
      ``[C]``, NaN where the class has no true pixel (or is left out).
    """
    counts = _without_void(matrix, void)
    num_classes = counts.shape[0]
    hits = np.diagonal(counts)
    true = counts.sum(axis=1)
    predicted = counts[:, :num_classes].sum(axis=0)
    union = true + predicted - hits
    return np.where(true > 0, hits / np.maximum(union, 1.0), np.nan)


def mean_iou(matrix: Integer[np.ndarray, "c c+1"], void: Sequence[bool] = ()) -> float:
    """Mean IoU over the classes that have true pixels, void classes not among them.

    Returns:
      0 … 1, or NaN without any true pixel.
    """
    return _mean(iou(matrix, void))


def mean_iou_with_void(matrix: Integer[np.ndarray, "c c+1"]) -> float:
    """Mean IoU with void scored like any other class (paper, section 4.3).

    Returns:
      0 … 1, or NaN without any true pixel.
    """
    return _mean(iou(matrix))


def pixel_accuracy(matrix: Integer[np.ndarray, "c c+1"], void: Sequence[bool] = ()) -> float:
    """Share of the pixels that are right; those that are truly void are left out.

    Returns:
      0 … 1, or NaN without any true pixel.
    """
    counts = _without_void(matrix, void)
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def mean_accuracy(matrix: Integer[np.ndarray, "c c+1"], void: Sequence[bool] = ()) -> float:
    """Mean over the classes of the share of their true pixels that are right.

    With ``pixel_accuracy`` and the mean IoU these are the scores of NYU-Depth V2 (Long et al., CVPR
    2015, section 5: pixel acc. and mean acc.).

    Returns:
      0 … 1, or NaN without any true pixel.
    """
    counts = _without_void(matrix, void)
    true = counts.sum(axis=1)
    return _mean(np.where(true > 0, np.diagonal(counts) / np.maximum(true, 1.0), np.nan))


def _without_void(matrix: np.ndarray, void: Sequence[bool]) -> Float[np.ndarray, "c c+1"]:
    counts = matrix.astype(np.float64)
    if len(void):
        counts[np.asarray(void, bool)] = 0.0
    return counts


def _mean(values: np.ndarray) -> float:
    finite = values[~np.isnan(values)]
    return float(finite.mean()) if finite.size else float("nan")


def interior(truth: Integer[np.ndarray, "h w"], pixels: int = 3) -> Bool[np.ndarray, "h w"]:
    """True where the nearest boundary pixel is at least ``pixels`` city-block steps away.

    A boundary pixel has a neighbour of another label above, below, left or right. Annotators
    differ by about two pixels there, so scores of the interior leave out their jitter.
    """
    edge = np.zeros(truth.shape, np.uint8)
    across, down = truth[:, 1:] != truth[:, :-1], truth[1:] != truth[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    if pixels > 1:
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        edge = cv2.dilate(edge, cross, iterations=pixels - 1)
    return edge == 0
