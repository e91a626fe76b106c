"""The report of an output: ``report.html``, and a script of each clip that its player reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wrp_jax.data.frame_files import frame_file
from wrp_jax.data.label_maps import palette
from wrp_jax.data.tool_formats.imported import IMPORTED
from wrp_jax.files.atomic import write_atomically
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.plan import Plan
from wrp_jax.labelling.thresholds import Choice
from wrp_jax.labelling.window_result import WindowResult
from wrp_jax.propagation.methods import METHODS
from wrp_jax.quality.estimate import UNREACHED
from wrp_jax.quality.next_frames import NextFrame
from wrp_jax.quality.table import FrameQuality
from wrp_jax.reporting.clips import Clip, FrameRow, clip_script
from wrp_jax.reporting.report import ClassQuality, Proposal, ThresholdCurve, render_report
from wrp_jax.types import UNLABELLED, ClassMap

REPORT_FILE = "report.html"
_NOTHING = "no label"
_DOUBT, _LEAST_DOUBT = 1.5, 1.0
"""A frame is in doubt where so many times more pixels are expected to be wrong than in half of the
frames, and at least so many %."""
_NAMED = 6  # clips without labels, by name


def write_report(
    plan: Plan,
    results: Mapping[int, WindowResult],
    metrics: Mapping[str, Any],
    notes: Sequence[str],
    quality: Sequence[FrameQuality],
    chosen: Sequence[NextFrame],
    thresholds: Choice | None = None,
) -> list[Path]:
    """Writes the report.

    Args:
      plan: of the run; its jobs are those that are finished.
      results: of each of them.
      metrics: what ``metrics.json`` holds.
      notes: sentences that a reader must not miss.
      quality: of the frames of the main method; empty where it has no estimate.
      chosen: frames to label next.
      thresholds: that left-out labels chose.

    Returns:
      The files.
    """
    files = OutputFiles(plan)
    clips = _clips(plan, results, quality)
    written = []
    for clip in clips:
        path = files.clip_script(clip.sequence)
        write_atomically(path, clip_script(clip, plan.output).encode())
        written.append(path)
    without = [s for s in plan.source.sequences if s not in {clip.sequence for clip in clips}]
    page = render_report(
        title=f"Propagated labels: {_title(plan)}",
        classes=_as_written(plan.source.classes),
        method=plan.main,
        metrics=metrics,
        styles={name: METHODS[name].style for name in plan.methods},
        clips=clips,
        proposal=_proposal(chosen),
        class_quality=_class_quality(plan, results, quality),
        tau=thresholds
        and ThresholdCurve(thresholds.tau, thresholds.tau_curve, thresholds.flat_sentence),
        video=plan.source.name,
        notes=[*notes, *_unlabelled_note(without)],
        footer=f"Made by wrp_jax from {len(plan.jobs)} windows. Scores are in metrics.json; labels "
        "and pictures beside this page belong to it; frames labelled by hand are not scored.",
    )
    path = plan.output / REPORT_FILE
    write_atomically(path, page.encode())
    return [*written, path]


def _clips(
    plan: Plan,
    results: Mapping[int, WindowResult],
    quality: Sequence[FrameQuality],
) -> list[Clip]:
    """Every clip with a finished window, in the order of the source; all of its frames."""
    rows_of = {(row.sequence, row.frame): row for row in quality}
    doubtful = _doubtful_from(quality)
    known: dict[str, dict[str, FrameRow]] = {}
    for job, i in plan.written():
        sequence, name = job.window.sequence, job.names[i]
        rated = rows_of.get((sequence, name))
        known.setdefault(sequence, {})[name] = FrameRow(
            sequence,
            name,
            i in job.keys,
            results[job.number].confidence[name],
            job.start + job.nearest(i),
            i in job.scored,
            frame_file(plan.source, sequence, name),
            *_told(rated),
            doubt=rated.reason if rated is not None and rated.doubtful >= doubtful else None,
        )
    return [
        Clip(
            sequence,
            tuple(
                rows.get(name)
                or FrameRow(
                    sequence, name, False, None, picture=frame_file(plan.source, sequence, name)
                )
                for name in plan.source.frame_names(sequence)
            ),
            (plan.output / sequence / "source").is_dir(),
        )
        for sequence, rows in known.items()
    ]


def _doubtful_from(quality: Sequence[FrameQuality]) -> float:
    """The share of wrong pixels, in %, from which a frame is in doubt."""
    wrong = [row.doubtful for row in quality if row.distance and row.reason != UNREACHED]
    wrong = [share for share in wrong if not math.isnan(share)]
    return max(_DOUBT * float(np.median(wrong)), _LEAST_DOUBT) if wrong else math.inf


def _told(rated: FrameQuality | None) -> tuple[float | None, float | None, float | None]:
    """Estimated mIoU and the ends of its interval; None where nothing is known."""
    if rated is None or math.isnan(rated.miou):
        return None, None, None
    return rated.miou, rated.miou_low, rated.miou_high


def _class_quality(
    plan: Plan, results: Mapping[int, WindowResult], quality: Sequence[FrameQuality]
) -> dict[str, ClassQuality]:
    """Of every class that the labels show, or that a true label shows."""
    rated = [row for row in quality if row.distance and row.reason != UNREACHED]
    found: dict[str, ClassQuality] = {}
    for number, name in enumerate(plan.source.classes.names):
        guessed = [(row.iou[name], row.sequence, row.frame) for row in rated if name in row.iou]
        true = [
            (100.0 * float(iou[number]), job.window.sequence, frame)
            for job in plan.jobs
            for frame, iou in results[job.number].frame_iou.items()
            if not math.isnan(iou[number])
        ]
        if guessed or true:
            iou, sequence, frame = min(true or guessed, key=lambda place: place[0])
            mean = float(np.mean([value for value, *_ in guessed])) if guessed else None
            found[name] = ClassQuality(mean, sequence, frame, iou, not true)
    return found


def _as_written(classes: ClassMap) -> ClassMap:
    """The classes in the colours of the label files, and what stands for no label in these."""
    colors = palette(classes)
    if classes.void_index is not None:
        return dataclasses.replace(classes, colors=colors[list(classes.ids)])
    ids = (*classes.ids, UNLABELLED)
    return ClassMap(ids, (*classes.names, _NOTHING), colors[list(ids)], (*classes.void, True))


def _proposal(chosen: Sequence[NextFrame]) -> Proposal | None:
    """The table of the frames to label next, where there are any."""
    if not chosen:
        return None
    return Proposal(
        "Labels of these frames, given to the next run, are expected to improve the others most "
        "(next_frames.csv). Gain is in points of mIoU, of the mean over all frames.",
        ["sequence", "frame", "gain", "total gain", "expected mIoU", "frames it helps"],
        [
            [f.sequence, f.frame, f"{f.gain:.2f}", f"{f.total:.2f}", f"{f.miou:.1f}", str(f.frames)]
            for f in chosen
        ],
    )


def _unlabelled_note(sequences: Sequence[str]) -> list[str]:
    if not sequences:
        return []
    more = f" and {len(sequences) - _NAMED} more" if len(sequences) > _NAMED else ""
    clips, whose = ("clip of the video is", "its")
    if len(sequences) > 1:
        clips, whose = ("clips of the video are", "their")
    return [
        f"{len(sequences)} {clips} not listed: none of {whose} frames is labelled "
        f"({', '.join(sequences[:_NAMED])}{more})."
    ]


def _title(plan: Plan) -> str:
    """A folder's own name, without the path to it; of what was imported, that of its videos."""
    name, sequences = plan.source.name, plan.source.sequences
    if Path(name).resolve() == (plan.output / IMPORTED).resolve():
        more = f" and {len(sequences) - _NAMED} more" if len(sequences) > _NAMED else ""
        return f"{', '.join(sequences[:_NAMED])}{more}"
    return Path(name).resolve().name if Path(name).is_dir() else name
