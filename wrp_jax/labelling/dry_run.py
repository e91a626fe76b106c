"""What a run would do, in words; writes nothing."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wrp_jax.data.images import encode_png
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import frame_size
from wrp_jax.files.failures import Failures
from wrp_jax.files.output import RUN_FILE
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.plan import Plan, WindowJob
from wrp_jax.propagation.methods import METHODS

try:
    import resource
except ImportError:  # Windows
    resource: Any = None


def describe(plan: Plan, limit: int | None = None) -> str:
    """Windows, frames, time, memory and bytes of a run.

    Args:
      plan: what is to be done.
      limit: of the windows of this process the first so many are labelled only.

    Raises:
      UserError: a file of the input cannot be read.
    """
    failures = Failures(plan.output, plan.shard, fail_fast=True)
    files, kept = OutputFiles(plan), KeptWindows(plan, failures)
    done = kept.finished()
    before = [job for job in plan.own if job.number in done]
    rest = [job for job in plan.own[:limit] if job.number not in done]
    sequences = {job.window.sequence for job in plan.jobs}
    frames = {(job.window.sequence, job.names[i]) for job in plan.jobs for i in job.owned}
    keys = {(job.window.sequence, key) for job in plan.jobs for key in job.window.keys}
    whole = sum(len(plan.source.frame_names(s)) for s in plan.source.sequences)
    lines = [
        f"windows: {len(plan.jobs)} in {len(sequences)} sequences; labelled frames: {len(keys)}",
        f"methods: {', '.join(plan.methods)}",
        f"frames to label: {len(frames - keys)}; out of reach of every window: "
        f"{whole - len(frames)} of {whole}",
        *_shares(plan),
        f"finished before: {len(before)} windows",
        f"this run: {len(rest)} windows, {_frames(rest)} frames",
        f"time: {_time(plan, files, before, rest)}",
        f"memory: {_memory()}",
        f"disk: {_disk(plan, files, before, rest)}",
    ]
    return "\n".join(lines)


def _shares(plan: Plan) -> list[str]:
    """What the shards have to do, where there are several."""
    if plan.shard.is_all:
        return []
    frames = [_frames(part) for part in plan.parts]
    return [
        f"shard {plan.shard.index} of {plan.shard.count}: {len(plan.own)} windows, "
        f"{frames[plan.shard.index]} frames (the shards have {min(frames)} to {max(frames)})"
    ]


def _frames(jobs: Iterable[WindowJob]) -> int:
    return sum(len(job.names) for job in jobs)


def _time(plan: Plan, files: OutputFiles, before: list[WindowJob], rest: list[WindowJob]) -> str:
    """Reckoned from the times at which the finished windows were written, one after the other."""
    if not rest:
        return "none"
    times = sorted((os.stat(files.window_path(job)).st_mtime, len(job.names)) for job in before)
    rates, last = [], _written_at(plan.output / RUN_FILE)
    for at, count in times:
        if last is not None:
            rates.append((at - last) / count)
        last = at
    # The median: a run that was stopped overnight leaves one long pause.
    rate = statistics.median(rates) if rates else 0.0
    if rate <= 0.0:
        return "not known before a window is labelled here; --limit=1 labels one"
    return (
        f"about {_duration(rate * _frames(rest))}, at {_duration(rate)} per frame as the "
        f"{len(before)} finished windows took; starting and the report come on top"
    )


def _written_at(path: Path) -> float | None:
    return os.stat(path).st_mtime if path.is_file() else None


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _memory() -> str:
    if resource is None:
        return "not known on this system"
    unit = 1 if sys.platform == "darwin" else 1024
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return (
        f"{_bytes(now)} so far, with the networks loaded; what they need while they run comes on "
        "top and does not grow with the length of a window"
    )


def _disk(plan: Plan, files: OutputFiles, before: list[WindowJob], rest: list[WindowJob]) -> str:
    if not rest:
        return "nothing new"
    owned = sum(len(job.owned) for job in before)
    if owned:
        written = sum(os.stat(path).st_size for job in before for path in files.written(job))
        each, how = written / owned, "as the finished windows take"
    else:
        each, how = _reckoned(plan), "if all pictures pack like the first labelled frame"
    frames = sum(len(job.owned) for job in rest)
    return (
        f"about {_bytes(each * frames)} of labels and pictures, {how}; the TFDS data set comes on "
        f"top; {_bytes(_scratch(plan, rest))} more while the largest window is labelled"
    )


def _reckoned(plan: Plan) -> float:
    """Bytes of one frame's results."""
    window = plan.jobs[0].window
    label = KnownLabels(plan.source, plan.windows).label(window.sequence, window.key)
    labels = len(encode_png(label.astype("uint8")))
    picture = len(encode_png(plan.source.frame(window.sequence, window.key)))
    # A confidence is grey: a third of a picture at most. The overlay packs like the frame.
    return len(plan.methods) * (labels + picture / 3) + picture


def _scratch(plan: Plan, jobs: list[WindowJob]) -> int:
    """Bytes of the cues of the largest window; see ``StoredCues``."""
    reads = any(METHODS[name].segments or METHODS[name].refines for name in plan.methods)
    channels = plan.source.classes.num_classes if reads else 0
    sizes: dict[str, int] = {}
    most = 0
    for job in jobs:
        sequence = job.window.sequence
        if sequence not in sizes:  # frames of a sequence are of one size
            height, width = frame_size(plan.source, sequence, job.window.key)
            sizes[sequence] = height * width
        # Frame, flow there and back, probabilities; features take a fraction of those.
        most = max(most, len(job.names) * sizes[sequence] * (3 + 2 * 8 + 4 * channels))
    return most


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
