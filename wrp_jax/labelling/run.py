"""Labels the windows of a plan: cues once per window, then every method, then its files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator

import numpy as np

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.networks import Networks
from wrp_jax.labelling.plan import Plan
from wrp_jax.labelling.window_result import WindowResult, load_window_result
from wrp_jax.logging import Progress
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.methods import METHODS, Propagated, propagate_window
from wrp_jax.reporting.film import frames_to_show, shrink_labels
from wrp_jax.types import ClipCues


def label_windows(plan: Plan, networks: Networks) -> list[WindowResult]:
    """Labels what is not labelled yet.

    Can be stopped at any moment: a window that was not finished is done again by the next run,
    with the same result.

    Returns:
      What each window leaves behind, in the order of the plan.
    """
    known = KnownLabels(plan.source, plan.windows)
    truth = GroundTruth(plan.source)
    files = OutputFiles(plan)
    marks = [_fingerprint(plan, number, known, truth) for number in range(len(plan.windows))]
    results: dict[int, WindowResult] = {}
    for number, mark in enumerate(marks):
        before = load_window_result(files.window_path(number), mark)
        if before is not None and files.complete(number):
            results[number] = before

    steps = len(plan.methods)
    progress = Progress("labelling", steps * len(plan.windows), steps * len(results))
    for number, mark in enumerate(marks):
        if number in results:
            continue
        results[number] = _label_window(plan, number, mark, networks, known, truth, progress)
        results[number].save(files.window_path(number))
    progress.close()
    return [results[number] for number in range(len(plan.windows))]


def _label_window(
    plan: Plan,
    number: int,
    mark: str,
    networks: Networks,
    known: KnownLabels,
    truth: GroundTruth,
    progress: Progress,
) -> WindowResult:
    """Runs every method on one window and writes the frames that belong to it."""
    window, names, files = (
        plan.windows[number],
        plan.frames(plan.windows[number]),
        OutputFiles(plan),
    )
    frames = np.stack([plan.source.frame(window.sequence, name) for name in names])
    key = names.index(window.key)
    owned = set(files.owned_frames(number))
    result = WindowResult(mark)
    evaluator = Evaluator(plan.source.classes)
    truths = {
        name: truth.label(window.sequence, name)
        for name in truth.scored(window.sequence, window.key, names)
    }
    for method, output in _predictions(plan, networks, frames, key, known, window):
        # Sums of bilinear weights pass 1 by a rounding error.
        output = output._replace(confidence=np.clip(output.confidence, 0.0, 1.0))
        for i, name in enumerate(names):
            if name in truths:
                evaluator.add(method, abs(i - key), truths[name], output.labels[i])
            if name not in owned:
                continue
            files.writers[method].write(
                window.sequence, name, output.labels[i], output.confidence[i]
            )
            if method == plan.main:
                files.write_overlay(
                    window.sequence, name, frames[i], output.labels[i], is_key=i == key
                )
                result.confidence[name] = float(output.confidence[i].mean())
        if number in plan.shown:
            _keep_pictures(plan, method, output, _signed(len(names), key), result)
        done = number * len(plan.methods) + plan.methods.index(method) + 1
        progress.update(done)
    result.matrices = evaluator.matrices
    return result


def _predictions(
    plan: Plan, networks: Networks, frames: np.ndarray, key: int, known: KnownLabels, window
) -> Iterator[tuple[str, Propagated]]:
    """Every method's labels; the only label they are given is the labelled frame's own."""
    classes = plan.source.classes
    cues: ClipCues = clip_cues(frames, networks.motion, networks.segment)
    label = known.label(window.sequence, window.key)
    for method in plan.methods:
        if METHODS[method].refines and networks.refine is not None:
            yield method, Propagated(*networks.refine(cues, key, label, classes, networks.motion))
            continue
        options = plan.config.propagation
        if METHODS[method].refines and networks.tau is not None:
            options = dataclasses.replace(options, tau=networks.tau)
        yield (
            method,
            propagate_window(
                method,
                options,
                frames,
                key,
                label,
                classes,
                networks.motion,
                refine=networks.omega,
                recursive=plan.config.refiner.recursive,
                cues=cues,
            ),
        )


def _keep_pictures(
    plan: Plan, method: str, output: Propagated, distances: tuple[int, ...], result: WindowResult
) -> None:
    at = frames_to_show(distances)
    # Class indices fit: 256 ids at most, and UNLABELLED is 255.
    labels = np.stack([shrink_labels(output.labels[i]) for i in at]).astype(np.uint8)
    result.pictures[f"labels/{method}"] = labels
    if method == plan.main:
        sure = np.rint(255.0 * output.confidence[at]).astype(np.uint8)
        result.pictures["confidence"] = np.stack([shrink_labels(x) for x in sure])


def _signed(n: int, key: int) -> tuple[int, ...]:
    return tuple(i - key for i in range(n))


def _fingerprint(plan: Plan, number: int, known: KnownLabels, truth: GroundTruth) -> str:
    """Of what a window's result depends on, beyond the settings of the whole output."""
    window = plan.windows[number]
    digest = hashlib.sha256(known.label(window.sequence, window.key).astype(np.uint8).tobytes())
    scored = truth.scored(window.sequence, window.key, plan.frames(window))
    digest.update(json.dumps([scored, number in plan.shown]).encode())
    for name in scored:
        digest.update(truth.label(window.sequence, name).astype(np.uint8).tobytes())
    return digest.hexdigest()
