"""Scores the trained segmentation of a run on labelled frames that it has not seen."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wrp_jax.config import Config
from wrp_jax.data.known_labels import Stills, parse_stills, split_list
from wrp_jax.data.open_source import open_source
from wrp_jax.evaluation.segmentation import score_segmentation
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import sole_writer
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.segmentation.temperature import KEY
from wrp_jax.types import UserError

SCORES_FILE = "scores.json"

_SEGMENTING = frozenset({"segmentation", "student"})
"""Stages that make a network which can be scored."""


def check_test(test: str, stages: Sequence[str]) -> None:
    """Refuses what cannot be scored on, before anything is trained.

    Raises:
      UserError: no such video or list, no label in it, or no stage that is scored.
    """
    if not _SEGMENTING.intersection(stages):
        raise UserError(
            f"config.test has no effect: none of the stages {', '.join(stages)} trains a "
            "segmentation; leave it out."
        )
    frames_to_score(test)


def frames_to_score(test: str) -> Stills:
    """What ``--config.test`` names: a source, and (sequence, frame) of its labelled frames.

    Args:
      test: a source as ``open_source`` takes it, for all of its labelled frames; or
        ``SOURCE:LIST`` as ``--stills``.

    Raises:
      UserError: there is no such source or list, or it has no label.
    """
    if split_list(test)[1] is not None:
        return parse_stills(test)
    source = open_source(test)
    frames = [
        (sequence, name)
        for sequence in source.sequences
        for name in source.frame_names(sequence)
        if name in source.label_names(sequence)
    ]
    if not frames:
        raise UserError(f"config.test={test} has no labelled frame: give one that has.")
    return source, frames


def score_run(
    config: Config, test: str, workdir: Path, *, name: str | None = None
) -> dict[str, Any]:
    """Scores the student of a run, or its g_ψ where there is none; writes ``scores.json``.

    Args:
      config: ``config.segmentation`` is read.
      test: see `frames_to_score`.
      workdir: of ``train.py``.
      name: what to call ``test`` in the result, where it was imported; ``test`` itself if None.

    Returns:
      ``test``, and what `score_segmentation` gives.

    Raises:
      UserError: other classes, or a label that cannot be read.
    """
    # Flax comes with it.
    from wrp_jax.runs.segmentation import load_segmentation

    source, frames = frames_to_score(test)
    network, variables = load_segmentation(workdir, config, source.classes)
    segment = functools.partial(segment_clip, network, variables, keep_features=False, batch_size=1)
    scores = {
        "test": name or test,
        **score_segmentation(segment, source, frames, float(variables.get(KEY, 1.0))),
    }
    with sole_writer(workdir, "--workdir"):
        text = json.dumps(scores, indent=1) + "\n"
        write_atomically(workdir / SCORES_FILE, text.encode())
    return scores
