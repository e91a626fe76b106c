"""g_ψ ready for use: trained here, or read from files."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import jax

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.predictions import PRECOMPUTED, Predictions, open_predictions
from wrp_jax.data.source import VideoSource
from wrp_jax.models.segmentation import PUBLISHED
from wrp_jax.propagation.cues import Segment, segment_clip
from wrp_jax.sharding import batch_sharding, examples_at_once, make_mesh, replicate
from wrp_jax.training.segmentation.predicted import PrecomputedSegment
from wrp_jax.training.segmentation.stage import load_segmentation, segmentation_file
from wrp_jax.types import UserError, Window


def load_segmenter(
    workdir: str | os.PathLike | None,
    config: Config,
    source: VideoSource,
    windows: Sequence[Window],
    known: KnownLabels | None = None,
    *,
    keep_features: bool = True,
) -> Segment:
    """What ``config.segmentation`` names, for the frames of a video.

    Args:
      workdir: of ``train.py``; not needed for predictions from files or published weights.
      config: all options.
      source: the video.
      windows: what is going to be asked for.
      known: the labelled frames, where a refiner is to be trained.
      keep_features: see `segment_clip`.

    Raises:
      UserError: not trained yet, damaged, of other classes, or no such files.
    """
    if config.segmentation.name == PRECOMPUTED:
        predictions = open_predictions(config.segmentation.folder, source, windows)
        return PrecomputedSegment(predictions, source, windows, known)
    options = config.segmentation
    if options.frames_per_device < 0:
        raise UserError(
            f"config.segmentation.frames_per_device={options.frames_per_device}: give 1 to 4, or "
            "0 to have it chosen."
        )
    network, variables = load_segmentation(workdir, config, source.classes)
    mesh = make_mesh(jax.local_devices())
    count = options.frames_per_device or (examples_at_once() if options.name in PUBLISHED else 4)
    return functools.partial(
        segment_clip,
        network,
        replicate(variables, mesh),
        batch_size=mesh.size * count,
        keep_features=keep_features,
        sharding=batch_sharding(mesh),
    )


def segmenter_digest(
    workdir: str | os.PathLike | None, config: Config, source: VideoSource
) -> bytes:
    """Of the weights or files behind `load_segmenter`: results of others are not to be mixed."""
    if config.segmentation.name == PRECOMPUTED:
        folder = Path(config.segmentation.folder)
        return Predictions(folder, source.classes).digest().encode()
    return hashlib.sha256(segmentation_file(workdir, config).read_bytes()).digest()
