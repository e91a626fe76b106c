"""Stage "student": the network and the protocol of g_ψ, on propagated labels as well.

An epoch has a fixed number of crops, three for each labelled frame, however many labels were
propagated: what is compared was trained equally long. 70 % of it are crops of frames with
propagated labels, 30 % of labelled ones.

Reference: Ganeshan et al., ICCV 2021, sections 4.2 and 4.4.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wrp_jax.config import Config
from wrp_jax.data.known_labels import FurtherFrame, KnownLabels
from wrp_jax.data.propagated.frames import propagated_frames, true_frames
from wrp_jax.data.source import VideoSource
from wrp_jax.runs.results import STUDENT
from wrp_jax.segmentation.predictions import PRECOMPUTED
from wrp_jax.training.segmentation import stage
from wrp_jax.training.segmentation.crops import build_crop_dataset
from wrp_jax.types import UserError, Window


def check_options(config: Config) -> None:
    """Refuses what the stage does not know.

    Raises:
      UserError: predictions in files, which cannot be trained; no propagated labels where they are
        wanted, or some where they are not; an offset of 0 or none; what g_ψ refuses.
    """
    options = config.student
    if config.segmentation.name == PRECOMPUTED:
        raise UserError(
            "config.segmentation.name is precomputed, and files cannot be trained: name the "
            "network that the student is to be."
        )
    stage.check_options(config)
    if options.labels == "propagated" and not config.pseudo:
        raise UserError(
            "config.pseudo is missing: give what propagate wrote (its --output), or "
            "--config.student.labels=none for a student of the labelled frames alone."
        )
    if options.labels != "propagated" and config.pseudo:
        raise UserError(
            f"config.pseudo has no effect with config.student.labels={options.labels}: leave one "
            "of them out."
        )
    if options.labels != "none" and (not options.offsets or 0 in options.offsets):
        raise UserError(
            f"config.student.offsets is {options.offsets}: give distances from the labelled frame "
            "such as (-2,2); the labelled frame itself, 0, is learnt from anyway."
        )


def further_frames(
    config: Config, source: VideoSource, windows: Sequence[Window]
) -> tuple[FurtherFrame, ...]:
    """What the student learns from beside the labelled frames; see ``StudentConfig``.

    Raises:
      UserError: what was propagated does not fit the video, or there is nothing.
    """
    options = config.student
    if options.labels == "none":
        return ()
    if options.labels == "true":
        return true_frames(source, windows, options.offsets)
    return propagated_frames(
        Path(config.pseudo),
        source,
        windows,
        offsets=options.offsets,
        method=options.method,
        images=options.images,
        confidence=options.confidence,
    )


def train_student(
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    workdir: str | os.PathLike,
) -> None:
    """Trains the student and writes ``workdir/student.npz``; goes on where it was stopped.

    Args:
      config: ``segmentation``, ``student``, ``seed``, ``sharding`` and ``workers`` are read.
      known: the labelled frames, and those of `further_frames`.
      source: the video.
      windows: say which frames of ``source`` are labelled frames rather than stills.
      workdir: of the run.

    Raises:
      UserError: there is nothing to learn from.
    """
    options = config.student
    dataset = build_crop_dataset(
        config.segmentation,
        known,
        source,
        windows,
        further=known.further,
        further_share=options.further_share,
        epoch=options.epoch,
    )
    stage.train_network(STUDENT, config, known, dataset, workdir, epoch=options.epoch)
