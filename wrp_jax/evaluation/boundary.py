"""Errors by distance to the nearest class boundary of the true label."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int, Integer

from wrp_jax.evaluation.confusion import confusion

EDGES = (3.0, 10.0)
"""Where bands end, in pixels."""


def boundary_distance(truth: Integer[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Euclidean distance in pixels to the nearest pixel of another class.

    At least 1; infinite in a picture of one class. Void is a class like any other.
    """
    distance = np.full(truth.shape, np.inf, np.float32)
    classes = np.unique(truth)
    if len(classes) < 2:
        return distance
    for index in classes:
        own = truth == index
        to_others = cv2.distanceTransform(own.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        distance[own] = to_others[own]
    return distance


def boundary_bands(
    truth: Integer[np.ndarray, "h w"], edges: Sequence[float] = EDGES
) -> Int[np.ndarray, "h w"]:
    """Number of the band of every pixel: 0 up to the first of ``edges`` (included), and so on."""
    return np.searchsorted(np.asarray(edges), boundary_distance(truth), side="left")


def band_confusions(
    truth: Integer[np.ndarray, "h w"],
    prediction: Integer[np.ndarray, "h w"],
    num_classes: int,
    edges: Sequence[float] = EDGES,
) -> Integer[np.ndarray, "bands c c+1"]:
    """``confusion.confusion`` of each band; they add up to that of the whole picture."""
    bands = boundary_bands(truth, edges)
    return np.stack(
        [
            confusion(truth[bands == band], prediction[bands == band], num_classes)
            for band in range(len(edges) + 1)
        ]
    )
