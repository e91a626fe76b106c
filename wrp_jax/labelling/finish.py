"""What is made from all windows together: scores, the TFDS data set and the report."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wrp_jax import __version__
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.tfds.export import ExportRow, export_tfds
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.flips import Flips
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.failures import FAILURES_FILE
from wrp_jax.files.records import Records
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.judge import judge, judged
from wrp_jax.labelling.kept import record_results, remove_results
from wrp_jax.labelling.plan import THRESHOLDS_FILE, Plan
from wrp_jax.labelling.report_files import write_report
from wrp_jax.labelling.thresholds import chosen_thresholds
from wrp_jax.labelling.window_result import WindowResult
from wrp_jax.progress import waiting
from wrp_jax.quality.estimate import UNREACHED
from wrp_jax.quality.next_frames import (
    BUDGET,
    NEXT_FRAMES_FILE,
    NextFrame,
    next_frames,
    next_frames_csv,
)
from wrp_jax.quality.table import FrameQuality, as_written, quality_csv

_TOLD = 6  # stretches of frames that a note names; metrics.json has them all


@waiting("writing scores and the report")
def finish(
    plan: Plan,
    results: Mapping[int, WindowResult],
    trained_on: frozenset[str] = frozenset(),
    failed: int = 0,
) -> dict[str, Any]:
    """Writes what is made from all finished windows together.

    ``metrics.json``, ``quality.csv``, ``next_frames.csv``, ``tfds/`` and ``report.html``.

    Without any of them there are none: those of an earlier run are removed.

    Args:
      plan: of the run.
      results: of ``run.label_windows``.
      trained_on: of ``Networks``.
      failed: how many of the others failed; what is left is not labelled yet.

    Returns:
      What ``metrics.json`` holds.
    """
    missing = {"failed": failed, "unlabelled": len(plan.jobs) - len(results) - failed}
    notes = _missing_notes(len(plan.jobs), missing)
    beyond = out_of_reach(plan)
    notes += _reach_notes(plan, beyond)
    thresholds = chosen_thresholds(plan)
    notes += thresholds.sentences() if thresholds else []
    plan = dataclasses.replace(plan, jobs=tuple(j for j in plan.jobs if j.number in results))
    notes += _notes(plan, trained_on)
    quality = {
        method: [as_written(row) for row in judge(plan, results, method, beyond)]
        for method in judged(plan)
    }
    left_out = _below(plan, quality.get(plan.main, []))
    notes += _below_notes(plan, left_out)
    metrics = {
        **collect_metrics(plan, results),
        "out_of_reach": {sequence: list(map(list, found)) for sequence, found in beyond.items()},
        "missing": missing,
        "below_quality": left_out,
        "notes": notes,
    }
    if not results:
        remove_results(plan)
        return metrics
    text = json.dumps(metrics, indent=1) + "\n"
    write_atomically(plan.output / "metrics.json", text.encode())
    rows = _exported(plan, quality.get(plan.main, ()), left_out)
    chosen = next_frames(quality.get(plan.main, ()), BUDGET)
    paths = _write_quality(plan, quality, chosen)
    writer = OutputFiles(plan).writers[plan.main]
    records = Records(plan.output)
    digests = SourceDigests(plan.source, records.digests)
    export_tfds(plan.output / "tfds", plan.source, rows, writer, digests)
    rated = quality.get(plan.main, ())
    written = write_report(plan, results, metrics, notes, rated, chosen, thresholds)
    record_results(plan, records, [*paths, *written])
    return metrics


def _exported(
    plan: Plan, quality: Sequence[FrameQuality], left_out: Mapping[str, Sequence[str]]
) -> list[ExportRow]:
    """The elements of ``tfds``."""
    told = {(row.sequence, row.frame): row for row in quality}
    rows = []
    for job, i in plan.written():
        sequence, name, key = job.window.sequence, job.names[i], job.nearest(i)
        if name in left_out.get(sequence, ()):
            continue
        row = ExportRow(sequence, name, job.names[key], i - key)
        if (found := told.get((sequence, name))) is not None:
            row = dataclasses.replace(
                row, miou=found.miou, miou_low=found.miou_low, miou_high=found.miou_high,
                doubtful=found.doubtful,
            )  # fmt: skip
        rows.append(row)
    return rows


def _write_quality(
    plan: Plan, quality: Mapping[str, Sequence[FrameQuality]], chosen: Sequence[NextFrame]
) -> list[Path]:
    """Writes ``quality.csv`` of each method beside its labels, and what to label next."""
    classes, files = plan.source.classes, OutputFiles(plan)
    names = [n for n, void in zip(classes.names, classes.void, strict=True) if not void]
    written = {files.quality_path(m): quality_csv(rows, names) for m, rows in quality.items()}
    if plan.main in quality:
        written[plan.output / NEXT_FRAMES_FILE] = next_frames_csv(chosen)
    for path, data in written.items():
        write_atomically(path, data)
    there = plan.output / THRESHOLDS_FILE  # written before the labels
    return [*written, *([there] if there.is_file() else [])]


def _below(plan: Plan, rows: Sequence[FrameQuality]) -> dict[str, list[str]]:
    """Names of the labelled frames that are expected to be worse than was asked for.

    Of a label that is void alone nothing is expected: it is among them, for it teaches nothing.
    """
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.reason != UNREACHED and plan.min_quality and not row.miou >= plan.min_quality:
            found.setdefault(row.sequence, []).append(row.frame)
    return found


def _below_notes(plan: Plan, left_out: Mapping[str, Sequence[str]]) -> list[str]:
    if not left_out:
        return []
    names = [f"{sequence} {name}" for sequence, own in left_out.items() for name in own]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    count = sum(len(job.owned) for job in plan.jobs)
    return [
        f"{len(names)} of {count} frames are expected to have an mIoU below "
        f"--min_quality={plan.min_quality:g}, or are void alone ({', '.join(names[:_TOLD])}{more}; "
        "below_quality in metrics.json has them all): they are left out of tfds. Their labels and "
        "rows of quality.csv are there."
    ]


def collect_metrics(plan: Plan, results: Mapping[int, WindowResult]) -> dict[str, Any]:
    """Scores of all windows; those of a method are empty where no frame has a true label."""
    evaluator = Evaluator(plan.source.classes)
    reliability = {method: Reliability() for method in plan.methods}
    flips = {method: Flips() for method in plan.methods}
    for result in results.values():
        evaluator.merge(result.matrices)
        for method, sums in result.reliability.items():
            reliability[method].sums += sums
        for method, sums in result.flips.items():
            flips[method].sums += sums
    classes = plan.source.classes
    methods = evaluator.metrics(plan.methods)
    for method, scores in methods.items():
        scores["reliability"] = reliability[method].summary()
        scores["flips"] = flips[method].summary()
    return {
        "methods": methods,
        "method": plan.main,
        "protocol": plan.protocol,
        "windows": len(plan.jobs),
        "frames": sum(len(job.owned) for job in plan.jobs),
        "version": __version__,
        "code": sorted({result.code for result in results.values()}),
        "classes": [
            {"id": i, "name": name, "void": void}
            for i, name, void in zip(classes.ids, classes.names, classes.void, strict=True)
        ],
    }


def scores_text(metrics: Mapping[str, Any]) -> str:
    """A table of mIoU by distance for the terminal; a sentence where nothing could be scored."""
    methods = {n: m for n, m in metrics["methods"].items() if m["miou"]}
    if not methods:
        return "No frame but the labelled ones has a true label: nothing is scored."
    distances = sorted({int(k) for m in methods.values() for k in m["miou"]})
    width = max(map(len, methods))
    lines = [f"{'mIoU (%)':{width}}" + "".join(f"{f'±{k}':>6}" for k in distances) + "   mean"]
    for name, scores in methods.items():
        cells = "".join(f"{scores['miou'].get(str(k), float('nan')):6.1f}" for k in distances)
        lines.append(f"{name:{width}}{cells}{scores['mean']:7.1f}")
    return "\n".join(lines)


def _missing_notes(windows: int, missing: Mapping[str, int]) -> list[str]:
    failed, unlabelled = missing["failed"], missing["unlabelled"]
    if not failed and not unlabelled:
        return []
    why = [f"{failed} failed ({FAILURES_FILE} says why)"] if failed else []
    why += [f"{unlabelled} not labelled yet"] if unlabelled else []
    return [
        f"{failed + unlabelled} of {windows} windows are missing: {', '.join(why)}. Scores, tfds "
        "and report are of the others; the same command labels those that are missing."
    ]


def out_of_reach(plan: Plan) -> dict[str, list[tuple[str, str]]]:
    """Frames that no labelled frame reaches, by sequence: first and last of each run of them.

    All frames of a sequence without a labelled one are among them. Empty where windows were
    listed: what lies outside of them was not asked for.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    if plan.horizon is None:
        return found
    reached = {(job.window.sequence, job.names[i]) for job in plan.jobs for i in job.owned}
    for sequence in plan.source.sequences:
        names = plan.source.frame_names(sequence)
        groups = itertools.groupby(names, key=lambda name, s=sequence: (s, name) in reached)
        runs = [list(group) for inside, group in groups if not inside]
        if runs:
            found[sequence] = [(run[0], run[-1]) for run in runs]
    return found


def _reach_notes(plan: Plan, beyond: Mapping[str, list[tuple[str, str]]]) -> list[str]:
    if not beyond:
        return []
    count, told = 0, []
    for sequence, runs in beyond.items():
        names = plan.source.frame_names(sequence)
        count += sum(names.index(last) - names.index(first) + 1 for first, last in runs)
        told += [
            f"all of {sequence}" if (a, b) == (names[0], names[-1])
            else f"{sequence} {a}" if a == b else f"{sequence} {a} to {b}"
            for a, b in runs
        ]  # fmt: skip
    whole = sum(len(plan.source.frame_names(sequence)) for sequence in plan.source.sequences)
    more = f", and {len(told) - _TOLD} more stretches" if len(told) > _TOLD else ""
    return [
        f"{count} of {whole} frames have no label: no labelled frame of their sequence is at most "
        f"{plan.horizon} frames away ({', '.join(told[:_TOLD])}{more}). Label a frame among them, "
        "or give a larger --horizon."
    ]


def _notes(plan: Plan, trained_on: frozenset[str]) -> list[str]:
    """What a reader of the scores must know."""
    seen = sum(
        f"{job.window.sequence} {job.names[i]}" in trained_on
        for job in plan.jobs
        for i in job.scored
    )
    if not seen:
        return []
    return [
        f"The networks were trained on the labels of {seen} of the frames that are scored here: "
        "their scores say little. Train with the same --windows or --keyframes."
    ]
