"""g_ψ ready for use: trained here, or read from files."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.source import VideoSource
from wrp_jax.files.regular import sha256
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.build import PUBLISHED
from wrp_jax.runs.compatibility import check_metadata, check_network
from wrp_jax.runs.results import load_result, result_path, segmentation_stage
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.segmentation.inference import for_inference
from wrp_jax.segmentation.predicted import PrecomputedSegment
from wrp_jax.segmentation.predictions import PRECOMPUTED, Predictions, open_predictions
from wrp_jax.segmentation.published import published_segmentation
from wrp_jax.segmentation.temperature import tempered
from wrp_jax.sharding import batch_sharding, examples_at_once, make_mesh, replicate
from wrp_jax.types import ClassMap, Segment, UserError, Window


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
        return PrecomputedSegment(predictions, windows, known)
    options = config.segmentation
    network, variables = load_segmentation(workdir, config, source.classes)
    mesh = make_mesh(jax.local_devices())
    at_once = examples_at_once() if options.name in PUBLISHED else 4
    count = options.inference.frames_per_device or at_once
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
    return sha256(segmentation_file(workdir, config))


def load_segmentation(
    workdir: str | os.PathLike | None, config: Config, classes: ClassMap
) -> tuple[Network, Any]:
    """Reads a trained g_ψ back, or published weights where none was trained.

    Args:
      workdir: of the run; None where ``config.segmentation.weights`` is all there is.
      config: that of the run.
      classes: of the data at hand.

    Returns:
      The network, which gives void no chance unless void was learnt, and its variables.

    Raises:
      UserError: not trained yet, a damaged file, trained on other classes or as another network,
        or neither a workdir nor weights.
    """
    if workdir is None and not config.segmentation.weights:
        raise UserError(
            "--workdir is missing: give what train.py made there, or published weights with "
            "--config.segmentation.weights=FILE."
        )
    path = segmentation_file(workdir, config)
    if workdir is None or path != result_path(workdir, segmentation_stage(workdir)):
        network, variables = published_segmentation(config.segmentation, classes)
    else:
        variables, metadata = load_result(workdir, segmentation_stage(workdir))
        check_metadata(path, metadata, {"classes": classes_to_json(classes)})
        decide = ("segmentation.name", "segmentation.network.width")
        check_network(path, metadata, config, (*decide, "segmentation.network.learn_void"))
        network = build_for_classes(config.segmentation, classes)
    return for_inference(tempered(network), config.segmentation.inference), variables


def segmentation_file(workdir: str | os.PathLike | None, config: Config) -> Path:
    """What ``load_segmentation`` reads: the stage's result (see ``segmentation_stage``), else the
    config's weights.
    """
    trained = None if workdir is None else result_path(workdir, segmentation_stage(workdir))
    if trained is None or (config.segmentation.weights and not trained.exists()):
        return Path(config.segmentation.weights)
    return trained
