"""Labels the windows of a plan: cues once per window, then every method, then its files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator

import numpy as np

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.labelling.files import MOVES_IMAGES, OutputFiles
from wrp_jax.labelling.flow_pictures import flow_pictures
from wrp_jax.labelling.plan import Plan
from wrp_jax.labelling.window_result import WindowResult, load_window_result
from wrp_jax.progress import Progress
from wrp_jax.propagation.methods import METHODS, FrameLabels, label_frames
from wrp_jax.propagation.window_cues import StoredCues, WindowCues
from wrp_jax.reporting.film import frames_to_show, shrink_labels
from wrp_jax.runs.networks import STANDS_STILL, Networks
from wrp_jax.types import Clip, Window


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
    results: dict[int, WindowResult] = {}
    for number in range(len(plan.windows)):
        path = files.window_path(number)
        if path.exists() and files.complete(number):
            before = load_window_result(path, _fingerprint(plan, number, known, truth))
            if before is not None:
                results[number] = before

    steps = len(plan.methods)
    progress = Progress("labelling", steps * len(plan.windows), steps * len(results))
    for number in range(len(plan.windows)):
        if number in results:
            continue
        mark = _fingerprint(plan, number, known, truth)
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
    """Runs every method on one window and writes the frames that belong to it, one by one."""
    window, files = plan.windows[number], OutputFiles(plan)
    sequence, names = window.sequence, plan.frames(window)
    key, owned = names.index(window.key), set(files.owned_frames(number))
    scored = set(truth.scored(sequence, window.key, names))
    shown = frames_to_show(_signed(len(names), key)) if number in plan.shown else ()
    classes = plan.source.classes
    result, evaluator = WindowResult(mark), Evaluator(classes)
    reliability = {method: Reliability() for method in plan.methods} if scored else {}
    confidence: dict[str, float] = {}

    def read(i: int) -> np.ndarray:
        return plan.source.frame(sequence, names[i])

    clip = Clip(len(names), read, sequence, names)
    with StoredCues(
        files.scratch(), clip, networks.motion, networks.segment, networks.at_once
    ) as cues:
        for done, method in enumerate(plan.methods, number * len(plan.methods) + 1):
            pictures: dict[int, tuple[np.ndarray, np.ndarray]] = {}
            for output in _predictions(plan, networks, method, cues, key, known, window):
                i, labels = output.frame, output.labels
                # Sums of bilinear weights pass 1 by a rounding error.
                sure = np.clip(output.confidence, 0.0, 1.0)
                if names[i] in scored:
                    true = truth.label(sequence, names[i])
                    evaluator.add(method, abs(i - key), true, labels)
                    reliability[method].add(sure, labels, true, ~np.asarray(classes.void))
                if i in shown:
                    pictures[i] = _small(labels, sure)
                if names[i] not in owned:
                    continue
                if output.image is not None:
                    files.write_moved(method, sequence, names[i], output.image)
                files.writers[method].write(sequence, names[i], labels, sure)
                if method == plan.main:
                    files.write_overlay(sequence, names[i], read(i), labels, is_key=i == key)
                    confidence[names[i]] = float(sure.mean())
            if shown:
                result.pictures[f"labels/{method}"] = np.stack([pictures[i][0] for i in shown])
            if shown and method == plan.main:
                result.pictures["confidence"] = np.stack([pictures[i][1] for i in shown])
            progress.update(done)
        if shown and not set(plan.methods) <= STANDS_STILL:
            moving = flow_pictures(functools.partial(cues.section, semantics=False), key, shown)
            if moving is not None:
                result.pictures["flow"] = moving
    # Labels travel outwards; files list frames in their order.
    result.confidence = {name: confidence[name] for name in names if name in confidence}
    result.matrices = dict(sorted(evaluator.matrices.items()))
    result.reliability = {method: reliability[method].sums for method in reliability}
    return result


def _predictions(
    plan: Plan,
    networks: Networks,
    method: str,
    cues: WindowCues,
    key: int,
    known: KnownLabels,
    window: Window,
) -> Iterator[FrameLabels]:
    """A method's labels; the only label it is given is the labelled frame's own."""
    classes = plan.source.classes
    label = known.label(window.sequence, window.key)
    if METHODS[method].refines and networks.refine is not None:
        return networks.refine(cues, key, label, classes, networks.motion)
    options = plan.config.propagation
    if METHODS[method].refines and networks.tau is not None:
        options = dataclasses.replace(options, tau=networks.tau)
    return label_frames(
        method,
        options,
        cues,
        key,
        label,
        classes,
        networks.omega,
        recursive=plan.config.refiner.recursive,
        move_images=options.move_images and method == MOVES_IMAGES,
    )


def _small(labels: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and confidence at the size of the report."""
    # Class indices fit: 256 ids at most, and UNLABELLED is 255.
    grey = np.rint(255.0 * sure).astype(np.uint8)
    return shrink_labels(labels).astype(np.uint8), shrink_labels(grey)


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
    # Three frames tell one video from another; to decode all of a long one takes a rerun minutes.
    for name in dict.fromkeys((window.first, window.key, window.last)):
        digest.update(plan.source.frame(window.sequence, name).tobytes())
    return digest.hexdigest()
