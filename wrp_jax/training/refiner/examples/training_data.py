"""What examples are made of: labelled frames, video, f_θ and g_ψ, and what is measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.progress import waiting
from wrp_jax.training.refiner.examples.calibrate import ReliabilityInWindows, measure_reliability
from wrp_jax.types import Motion, Segment, Window


class TrainingData(NamedTuple):
    """What examples are made of.

    Attributes:
      known: the labelled frames.
      source: the video.
      windows: what will be propagated.
      motion: f_θ.
      segment: g_ψ on uint8 frames.
      class_weights: loss weight per class index.
      reliability: how reliable g_ψ is in the windows.
    """

    known: KnownLabels
    source: VideoSource
    windows: Sequence[Window]
    motion: Motion
    segment: Segment
    class_weights: Float[np.ndarray, " c"]
    reliability: ReliabilityInWindows


def frequency_weights(known: KnownLabels, power: float = 0.5) -> Float[np.ndarray, " c"]:
    """``frequency ** -power`` per class with a mean of one over labelled pixels.

    A class that covers less than a thousandth counts as if it covered that much.
    """
    counts = np.zeros(known.classes.num_classes)
    for item in known.items:
        label = item.label()
        counts += np.bincount(label[label >= 0].ravel(), minlength=len(counts))[: len(counts)]
    share = counts / max(counts.sum(), 1.0)
    weights = np.where(counts > 0, np.maximum(share, 1e-3) ** -power, 1.0)
    return (weights / max(float((weights * share).sum()), 1e-6)).astype(np.float32)


@waiting("measuring on the video how good the segmentation is")
def gather_training_data(
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
) -> TrainingData:
    """Adds class weights from the labels, and reliabilities measured in the windows."""
    return TrainingData(
        known=known,
        source=source,
        windows=windows,
        motion=motion,
        segment=segment,
        class_weights=frequency_weights(known),
        reliability=measure_reliability(known, source, windows, motion, segment),
    )
