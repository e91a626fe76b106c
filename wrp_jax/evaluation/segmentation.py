"""How good g_ψ is by itself, and how far its confidence can be believed, on labelled frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from wrp_jax.evaluation.confusion import (
    confusion,
    iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.evaluation.truth import GroundTruth, LabelSource
from wrp_jax.types import ClassMap, Segment, clip_of

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95)
"""Confidences at which is told what a threshold keeps."""


@runtime_checkable
class LabelledFrames(LabelSource, Protocol):
    """The part of ``data.VideoSource`` that is segmented and scored here."""

    @property
    def classes(self) -> ClassMap:
        """Classes of the data set."""
        ...

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """One frame, RGB."""
        ...


def score_segmentation(
    segment: Segment,
    source: LabelledFrames,
    frames: Iterable[tuple[str, str]],
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Scores g_ψ on labelled frames.

    Args:
      segment: g_ψ, its temperature included.
      source: of the frames.
      frames: (sequence, frame), each with a label.
      temperature: the T of ``segment``; what T = 1 would have given is scored as well.

    Returns:
      JSON values: ``frames``, how many; in % ``miou``, ``pixel_accuracy``, ``mean_accuracy`` and
      ``iou`` by class, None where it has no true pixel; ``temperature``, and under ``calibrated``
      and ``uncalibrated`` what `Reliability.summary` gives and ``thresholds``: by threshold the
      share of the scored pixels above and the accuracy there.
    """
    classes = source.classes
    scored, labels = ~np.asarray(classes.void), GroundTruth(source)
    matrix = np.zeros((classes.num_classes, classes.num_classes + 1), np.int64)
    curves = {"calibrated": Reliability(), "uncalibrated": Reliability()}
    count = 0
    for sequence, name in frames:
        count += 1
        clip = clip_of(source.frame(sequence, name)[None], sequence, (name,))
        probs = np.asarray(segment(clip, [0])[0][0], np.float32)
        truth, said = labels.label(sequence, name), probs.argmax(-1)
        matrix += confusion(truth, said, classes.num_classes)
        # softmax(z) is softmax(z / T) to the power of T, made to sum to one.
        plain = np.power(probs, np.float32(temperature))
        for key, p in (("calibrated", probs), ("uncalibrated", plain)):
            sure = np.minimum(p.max(-1) / np.maximum(p.sum(-1), 1e-12), 1.0)
            curves[key].add(sure, said, truth, scored)
    by_class = 100.0 * iou(matrix, classes.void)
    return {
        "frames": count,
        "miou": 100.0 * mean_iou(matrix, classes.void),
        "pixel_accuracy": 100.0 * pixel_accuracy(matrix, classes.void),
        "mean_accuracy": 100.0 * mean_accuracy(matrix, classes.void),
        "iou": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes.names, by_class, strict=True)
        },
        "temperature": temperature,
        **{key: {**c.summary(), "thresholds": _kept(c)} for key, c in curves.items()},
    }


def _kept(curve: Reliability) -> dict[str, dict[str, float]]:
    bins = len(curve.count)
    kept = {}
    for threshold in THRESHOLDS:
        above = slice(round(threshold * bins), None)
        count = curve.count[above].sum()
        kept[str(threshold)] = {
            "share": float(count / max(curve.count.sum(), 1.0)),
            "accuracy": float(curve.correct[above].sum() / max(count, 1.0)),
        }
    return kept
