"""What a run would do, in words; writes nothing to its output.

Time, memory and bytes are those of a trial, see ``trial``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wrp_jax.data.source import VideoSource, frame_size
from wrp_jax.data.split import split_source
from wrp_jax.files.failures import Failures
from wrp_jax.files.shards import WHOLE, Shard
from wrp_jax.labelling.finish import finish
from wrp_jax.labelling.forecast import frame_pixels, labelling_seconds
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.plan import CHANGED, Plan, WindowJob
from wrp_jax.labelling.predict import Survey, write_predictions
from wrp_jax.labelling.run import label_windows
from wrp_jax.labelling.trial import PartOfSource, Trial, in_bytes, trial_frames, try_out
from wrp_jax.motion.dump import GROUP, dump, survey_flow
from wrp_jax.progress import duration
from wrp_jax.propagation.methods import METHODS
from wrp_jax.reporting.report import counted
from wrp_jax.runs.networks import Networks
from wrp_jax.types import Motion, Segment, UserError


def describe_labels(
    plan: Plan, networks: Networks | None, limit: int | None = None
) -> Iterator[str]:
    """Windows, frames, time, memory and bytes of a run of ``wrp propagate``, line by line.

    Args:
      plan: what is to be done.
      networks: that the methods need; None where they are to be trained first.
      limit: of the windows of this process the first so many are labelled only.

    Raises:
      UserError: a file of the input cannot be read.
    """
    failures = Failures(plan.output, plan.shard, fail_fast=True)
    kept = KeptWindows(plan, failures, None if networks is None else networks.digest)
    changes, done = kept.relabelled().sentence(len(plan.own)), kept.finished()
    before = sum(job.number in done for job in plan.own)
    rest = [job for job in plan.own[:limit] if job.number not in done]
    sequences = {job.window.sequence for job in plan.jobs}
    frames = {(job.window.sequence, job.names[i]) for job in plan.jobs for i in job.owned}
    keys = {(job.window.sequence, key) for job in plan.jobs for key in job.window.keys}
    whole = sum(len(plan.source.frame_names(s)) for s in plan.source.sequences)
    where = counted(len(sequences), "sequence")
    partial = {(job.window.sequence, job.names[i]) for job in plan.jobs for i in job.partial}
    more = f"; with a partial label: {len(partial)}" if partial else ""
    yield f"windows: {len(plan.jobs)} in {where}; labelled frames: {len(keys)}{more}"
    if changes:
        yield f"labels: {changes}"
    if changed := list(kept.changed_labels(done)):
        yield (
            f"changed in the output: {counted(len(changed), 'label')}, the first is {changed[0]}; "
            f"a run moves such labels to {plan.output / CHANGED}"
        )
    yield f"methods: {', '.join(plan.methods)}"
    yield (
        f"frames to label: {len(frames - keys)}; out of reach of every window: "
        f"{whole - len(frames)} of {whole}"
    )
    if not plan.shard.is_all:
        yield _share(plan)
    yield f"finished before: {counted(before, 'window')}"
    count = _frames(rest)
    asked = f"{counted(len(rest), 'window')}, {counted(count, 'frame')}"
    yield f"this run: {asked}, labelled ones included"
    if not rest:
        yield "time: none"
        return
    if networks is None:
        seconds = duration(labelling_seconds(plan, rest))
        yield f"time: about {seconds} after the training, where nothing else runs"
        yield "memory, disk: not known before the training"
        return
    largest, scratch = _largest(plan, rest)
    job = _shortened(largest, trial_frames())

    def work(folder: Path) -> None:
        trial = dataclasses.replace(plan, jobs=(job,), horizon=None, output=folder, shard=WHOLE)
        results = label_windows(trial, networks, Failures(folder, fail_fast=True))
        finish(trial, results, networks.trained_on)

    what = f"{counted(len(job.names), 'frame')} of {job.window.sequence}"
    yield from _needs(count, "frame", try_out(what, len(job.names), work))
    if scratch:
        yield f"disk meanwhile: {in_bytes(scratch)} more while the largest window is labelled"


def _share(plan: Plan) -> str:
    """What this shard has to do."""
    frames = [_frames(part) for part in plan.parts]
    return (
        f"shard {plan.shard.index} of {plan.shard.count}: {counted(len(plan.own), 'window')}, "
        f"{counted(frames[plan.shard.index], 'frame')} "
        f"(the shards have {min(frames)} to {max(frames)})"
    )


def _of_shard(shard: Shard) -> str:
    return "" if shard.is_all else f", of shard {shard.index} of {shard.count}"


def _frames(jobs: Iterable[WindowJob]) -> int:
    return sum(len(job.labelled) for job in jobs)


def describe_predictions(
    segment: Segment,
    source: VideoSource,
    output: Path,
    kind: str,
    limit: int | None = None,
    shard: Shard = WHOLE,
    run: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Frames, time, memory and bytes of a run of ``wrp predict``, line by line.

    Args:
      segment: g_ψ.
      source: the video.
      output: DIR; it need not exist.
      kind: of ``predictions.FORMATS``.
      limit: of all sequences the first so many are predicted only.
      shard: whose sequences are looked at.
      run: what the files depend on beside the frames; None: what ``run.json`` says.

    Raises:
      UserError: a file of the input cannot be read.
    """
    survey = Survey(source, output, kind, Failures(output, fail_fast=True), limit, shard, run)
    count = len(survey.missing)
    where = counted(len(survey.sequences), "sequence")
    yield f"frames: {len(survey.all)} in {where}{_of_shard(shard)}"
    yield f"finished before: {counted(len(survey.asked) - count, 'frame')}"
    yield f"this run: {counted(count, 'frame')}"
    if not count:
        yield "time: none"
        return
    part = _part(source, [sequence for sequence, _ in survey.missing], trial_frames())

    def work(folder: Path) -> None:
        write_predictions(segment, part, folder, kind, Failures(folder, fail_fast=True))

    what = f"{counted(len(part.names), 'frame')} of {part.sequence}"
    yield from _needs(count, "frame", try_out(what, len(part.names), work))


def describe_flow(
    motion: Motion,
    source: VideoSource,
    output: Path,
    *,
    suffix: str,
    apart: Sequence[int] = (1,),
    limit: int | None = None,
    shard: Shard = WHOLE,
    run: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Flows, time, memory and bytes of a run of ``wrp flow``, line by line.

    Args:
      motion: f_θ.
      source: the video.
      output: DIR; it need not exist.
      suffix: one of ``flow_files.SUFFIXES``.
      apart: distances in frames.
      limit: of all sequences the first so many are written only.
      shard: whose sequences are looked at.
      run: what the files depend on beside the frames; None: what ``run.json`` says.

    Raises:
      UserError: a file of the input cannot be read.
    """
    before, missing = survey_flow(
        source, output, suffix=suffix, apart=apart, limit=limit, shard=shard, run=run
    )
    own = split_source(source, shard.count)[shard.index]
    frames = sum(len(source.frame_names(sequence)) for sequence in own)
    yield f"frames: {frames} in {counted(len(own), 'sequence')}{_of_shard(shard)}"
    yield f"finished before: {counted(before, 'flow file')}"
    yield f"this run: {counted(sum(missing.values()), 'flow file')}"
    if not missing:
        yield "time: none"
        return
    # The groups of pairs, and the frames on either side of one.
    part = _part(source, missing, max(trial_frames(), GROUP + 3 * max(apart)))
    pairs = sum(2 * max(len(part.names) - distance, 0) for distance in apart)

    def work(folder: Path) -> None:
        failures = Failures(folder, fail_fast=True)
        dump(motion, part, folder, suffix=suffix, apart=apart, failures=failures)

    trial = try_out(f"{pairs} flows of {part.sequence}", pairs, work)
    yield from _needs(sum(missing.values()), "flow", trial)


def _needs(parts: int, unit: str, trial: Trial | UserError) -> Iterator[str]:
    """The lines on time, memory and disk."""
    if isinstance(trial, UserError):
        yield f"time, memory, disk: not known, for a trial fails: {trial}"
        return
    yield f"time: {trial.time(parts, unit)}"
    yield f"memory: {trial.peak()}"
    yield f"disk: about {in_bytes(trial.size / trial.parts * parts)}, as {trial.what} took"


def _part(source: VideoSource, sequences: Iterable[str], most: int) -> PartOfSource:
    """The first frames of the sequence with the largest ones; of equally large ones the longest."""
    sizes = {}
    for sequence in dict.fromkeys(sequences):
        names = source.frame_names(sequence)
        height, width = frame_size(source, sequence, names[0])  # all are of one size
        sizes[sequence] = height * width, min(len(names), most)
    largest = max(sizes, key=lambda sequence: sizes[sequence])
    return PartOfSource(source, largest, source.frame_names(largest)[:most])


def _largest(plan: Plan, jobs: Sequence[WindowJob]) -> tuple[WindowJob, int]:
    """The window of the largest frames, of these the longest; and the most that waits in files."""
    facts = [METHODS[name] for name in plan.methods]
    reads = any(method.segments or method.refines for method in facts)
    channels = plan.source.classes.num_classes if reads else 0
    sizes = frame_pixels(plan, jobs)

    def pixels(job: WindowJob) -> int:
        return sizes[job.window.sequence]

    # Frame, flow there and back, probabilities; see ``StoredCues``.
    each = 3 + 2 * 8 + 4 * channels if reads or any(m.moves for m in facts) else 0
    if any(method.decides for method in facts):  # votes and flows, see ``flow_voting``
        each += 32 + 8 * plan.source.classes.num_classes
    scratch = max(len(job.names) * pixels(job) * each for job in jobs)
    return max(jobs, key=lambda job: (pixels(job), len(job.names))), scratch


def _shortened(job: WindowJob, most: int) -> WindowJob:
    """The labelled frames of a window and those nearest to them, as if there were no others."""
    places = sorted(job.labelled, key=lambda i: abs(i - job.nearest(i)))[:most]
    places = sorted({*places, *job.keys})
    place_of = {old: new for new, old in enumerate(places)}

    def kept(old: Iterable[int]) -> tuple[int, ...]:
        return tuple(place_of[i] for i in old if i in place_of)

    return dataclasses.replace(
        job,
        number=0,
        names=tuple(job.names[i] for i in places),
        keys=kept(job.keys),
        owned=kept(job.owned),
        scored=kept(job.scored),
        partial=kept(job.partial),
        further=(),
        between=None,
    )
