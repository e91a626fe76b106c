"""Labels the windows of a plan: cues once per window, then every method, then its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from wrp_jax import interrupts
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import frame_size, read_frame, reading
from wrp_jax.evaluation.confusion import iou
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.code_digest import code_digest
from wrp_jax.files.failures import Failures
from wrp_jax.labelling.background import Background, ReadAhead
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.flips import KeptLabels
from wrp_jax.labelling.forecast import labelling_seconds
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.plan import Plan, WindowJob
from wrp_jax.labelling.programs import CompiledBySize
from wrp_jax.labelling.watch import Watch
from wrp_jax.labelling.window_result import WindowResult
from wrp_jax.progress import Progress
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.methods import METHODS, label_frames
from wrp_jax.propagation.provenance import provenance
from wrp_jax.runs.networks import Networks, moves
from wrp_jax.sharding import frames_at_once
from wrp_jax.types import Clip

_WRITERS = 2  # threads that pack and write pictures; one of large frames


def label_windows(
    plan: Plan, networks: Networks, failures: Failures | None = None, limit: int | None = None
) -> dict[int, WindowResult]:
    """Labels what is not labelled yet, of the plan's own jobs.

    Can be stopped at any moment: a window that was not finished is done again by the next run,
    with the same result.

    Args:
      plan: what to do.
      networks: that the methods need.
      failures: lists the windows whose files cannot be read; those of the output if absent. They
        leave no labels behind, and the next run tries them again.
      limit: of those jobs the first so many are labelled only.

    Returns:
      What each finished window leaves behind by its number, in the order of the plan.
    """
    failures = Failures(plan.output, plan.shard) if failures is None else failures
    parts = [job.part for job in plan.own]
    failures.keep_only(parts)
    known = plan.known_labels()
    truth = GroundTruth(plan.source)
    files, kept = OutputFiles(plan), KeptWindows(plan, failures, networks.digest)
    results = kept.load()

    steps, asked = len(plan.methods), frozenset(job.number for job in plan.own[:limit])
    done = steps * sum(number in results for number in asked)
    rest = [job for job in plan.own if job.number in asked and job.number not in results]
    expected = labelling_seconds(plan, rest)
    programs = CompiledBySize()
    with Progress("labelling", steps * len(asked), done, expected=expected) as progress:
        for job in plan.own:
            interrupts.check()
            if job.number in asked and job.number not in results and job.number in kept.marks:
                with failures.of(**job.part):
                    labels = kept.labels[job.number]
                    result = WindowResult(kept.marks[job.number], labels, code_digest())
                    size = frame_size(plan.source, job.window.sequence, job.window.key)
                    kept.begin(job)
                    with programs.of(size, job.window.sequence):
                        _label_window(plan, job, result, networks, known, truth, progress, done)
                    result.save(files.window_path(job))
                    kept.add(job)
                    results[job.number] = result
                done += steps
            if job.number in results:
                failures.succeeded(**job.part)
            elif job.part in failures:
                kept.remove(job)
    failures.keep_only(parts)  # in order
    failures.save()
    kept.save()
    return {job.number: results[job.number] for job in plan.own if job.number in results}


@contextlib.contextmanager
def _open(
    plan: Plan, job: WindowJob, networks: Networks, known: KnownLabels
) -> Iterator[LabelledWindow]:
    """The window with the labels of its labelled frames: no method is given any other."""
    sequence, names = job.window.sequence, job.names

    def read(i: int) -> np.ndarray:
        return read_frame(plan.source, sequence, names[i])

    keys, further = (
        [Keyframe(i, known.label(sequence, names[i])) for i in places]
        for places in (job.keys, job.further)
    )
    partial = [Keyframe(i, known.partial_label(sequence, names[i])) for i in job.partial]
    scratch = OutputFiles(plan).scratch()
    with (
        ReadAhead(read, len(names), frames_at_once(*keys[0].label.shape)) as frame,
        networks.open_window(
            Clip(len(names), frame, sequence, names), keys, plan.source.classes, scratch,
            job.window.reach, leave_out=True, partial=partial, further=further,
            between=job.between,
        ) as window,
    ):  # fmt: skip
        yield window


def _label_window(
    plan: Plan,
    job: WindowJob,
    result: WindowResult,
    networks: Networks,
    known: KnownLabels,
    truth: GroundTruth,
    progress: Progress,
    done: int,
) -> None:
    """Runs every method on one window and writes the frames that belong to it, one by one.

    What there is to say of it comes into ``result``; ``done`` steps of the progress lie behind it.
    """
    files, options = OutputFiles(plan), plan.config.propagation
    sequence, names = job.window.sequence, job.names
    classes = plan.source.classes
    evaluator = Evaluator(classes)
    reliability = {method: Reliability() for method in plan.methods} if job.scored else {}
    confidence: dict[str, float] = {}
    watched = [method for method in plan.methods if METHODS[method].moves]

    moving = moves(plan.methods)
    with (
        _open(plan, job, networks, known) as window,
        Watch(window, job.owned, watched) as watch,
        KeptLabels(files.scratch()) as said,
    ):
        with Background(min(_WRITERS, frames_at_once(*window.size))) as background:
            for step, method in enumerate(plan.methods, done + 1):
                for output in label_frames(method, options, window, networks.refiner):
                    interrupts.check()
                    i, labels, sure = output.frame, output.labels, output.confidence
                    watch.see(method, output)
                    if window.is_left_out(output):
                        continue
                    if moving:
                        said.put(method, i, labels)
                    if i in job.scored:
                        with reading(names[i]):
                            true = truth.label(sequence, names[i])
                        if moving:
                            said.put_truth(i, true)
                        counts = evaluator.add(method, abs(i - job.nearest(i)), true, labels)
                        reliability[method].add(sure, labels, true, ~np.asarray(classes.void))
                        if i in job.owned:
                            background.run(
                                files.write_errors, method, sequence, names[i], labels, true
                            )
                    if i not in job.owned:
                        continue
                    moved = output.image_bytes()
                    if moved is not None:
                        background.run(files.write_moved, method, sequence, names[i], moved)
                    background.run(files.writers[method].write, sequence, names[i], labels, sure)
                    if options.write_source:
                        facts = METHODS[method]
                        source = provenance(
                            window, output, inpaints=facts.segments, chooses=facts.refines
                        )
                        background.run(files.write_source, method, sequence, names[i], source)
                    if method == plan.main:
                        frame = window.cues.clip.frame(i)  # decoded before, where motion was asked
                        background.run(
                            files.write_overlay, sequence, names[i], frame, labels,
                            is_key=i in job.keys,
                        )  # fmt: skip
                        if i in job.scored:
                            result.frame_iou[names[i]] = iou(counts, classes.void)
                            background.run(files.write_truth, sequence, names[i], true)
                        confidence[names[i]] = float(sure.mean())
                progress.update(step)
        watch.finish()
        if moving:
            if job.scored:
                for key in window.keys:
                    said.put_truth(*key)
            flips = said.flips(window, plan.methods)
            result.flips = {method: found.sums for method, found in flips.items()}
    own = [key.label for key in window.all_keys]
    result.known = np.isin(np.arange(classes.num_classes), own)
    result.evidence, result.left_out = watch.evidence, watch.left_out
    result.left_out_matrices = watch.left_out_matrices
    # Labels travel outwards; files list frames in their order.
    result.confidence = {name: confidence[name] for name in names if name in confidence}
    result.matrices = dict(sorted(evaluator.matrices.items()))
    result.reliability = {method: reliability[method].sums for method in reliability}
