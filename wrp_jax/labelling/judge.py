"""From the evidence of all windows to a table: how good each frame's labels are expected to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from wrp_jax.evaluation.confusion import mean_iou
from wrp_jax.labelling.plan import Plan
from wrp_jax.labelling.window_result import WindowResult
from wrp_jax.propagation.methods import METHODS
from wrp_jax.quality.calibration import Calibration, calibrate, score
from wrp_jax.quality.estimate import BY_HAND, REASONS, UNREACHED, Estimate, estimate
from wrp_jax.quality.prior import prior_of
from wrp_jax.quality.table import FrameQuality
from wrp_jax.types import ClassMap


def judged(plan: Plan) -> tuple[str, ...]:
    """The methods of a plan whose labels are judged: those that move them."""
    return tuple(method for method in plan.methods if METHODS[method].moves)


def judge(
    plan: Plan,
    results: Mapping[int, WindowResult],
    method: str,
    beyond: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> list[FrameQuality]:
    """Estimates every frame that is written, in the order of the source.

    Args:
      plan: of the windows that are finished.
      results: of ``run.label_windows``.
      method: one of ``judged``.
      beyond: first and last of the frames of a sequence that no labelled frame reaches: they have
        no label, and stand there with an mIoU of 0.
    """
    classes = plan.source.classes
    void = np.asarray(classes.void)
    weights = prior_of(method).weights
    calibration = run_calibration(plan, results, method)
    places = {job.number: [i for i in job.owned if i not in job.keys] for job in plan.jobs}
    rows = []
    for job, i in plan.written():
        sequence, name, result = job.window.sequence, job.names[i], results[job.number]
        if i in job.keys:
            rows.append(_by_hand(sequence, name, result.known & ~void, classes))
            continue
        found = estimate(
            result.evidence[method][places[job.number].index(i)],
            result.known,
            void,
            weights,
            both_sides=len(job.keys) + len(job.further) > 1,
        )
        distance = abs(i - job.nearest(i))
        rows.append(_row(sequence, name, distance, found, calibration, classes))
    return _with_unreached(plan, rows, beyond or {})


def _with_unreached(
    plan: Plan, rows: Sequence[FrameQuality], beyond: Mapping[str, Sequence[tuple[str, str]]]
) -> list[FrameQuality]:
    by_sequence: dict[str, dict[str, FrameQuality]] = {}
    for row in rows:
        by_sequence.setdefault(row.sequence, {})[row.frame] = row
    for sequence, runs in beyond.items():
        names = plan.source.frame_names(sequence)
        own = by_sequence.get(sequence, {})
        keys = [names.index(row.frame) for row in own.values() if row.distance == 0]
        for first, last in runs:
            for i in range(names.index(first), names.index(last) + 1):
                distance = min((abs(i - key) for key in keys), default=len(names))
                own[names[i]] = FrameQuality(
                    sequence, names[i], distance, 0.0, 0.0, 0.0, 100.0, UNREACHED, {}
                )
        by_sequence[sequence] = {name: own[name] for name in names if name in own}
    return [row for own in by_sequence.values() for row in own.values()]


def run_calibration(plan: Plan, results: Mapping[int, WindowResult], method: str) -> Calibration:
    """What the left-out frames of a run say of its estimates."""
    void, prior = np.asarray(plan.source.classes.void), prior_of(method)
    scores, counts = [], []
    for job in plan.jobs:
        result = results[job.number]
        matrices = result.left_out_matrices.get(method, ())
        for evidence, matrix in zip(result.left_out.get(method, ()), matrices, strict=True):
            found = estimate(evidence, result.known, void, prior.weights)
            true = mean_iou(matrix, plan.source.classes.void)
            if not math.isnan(found.miou) and not math.isnan(true):
                scores.append(score(true, found.miou))
                counts.append(found.classes)
    return calibrate(scores, counts, prior.spreads)


def _by_hand(sequence: str, name: str, known: np.ndarray, classes: ClassMap) -> FrameQuality:
    iou = {n: 100.0 for n, there in zip(classes.names, known, strict=True) if there}
    return FrameQuality(sequence, name, 0, 100.0, 100.0, 100.0, 0.0, BY_HAND, iou)


def _row(
    sequence: str,
    name: str,
    distance: int,
    found: Estimate,
    calibration: Calibration,
    classes: ClassMap,
) -> FrameQuality:
    told = [100.0 * value for value in calibration(found.miou, found.classes)]
    pairs = zip(classes.names, found.iou, strict=True)
    iou = {n: 100.0 * calibration(float(v), 1)[0] for n, v in pairs if not np.isnan(v)}
    wrong = 100.0 * calibration.wrong(found.wrong)
    reason = REASONS[found.sign]
    return FrameQuality(sequence, name, distance, told[0], told[1], told[2], wrong, reason, iou)
