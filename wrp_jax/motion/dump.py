"""Writes the flow of any motion to files, in the layout that ``precomputed`` reads.

Files that are there as they were written, of frames as they were, are kept: a second run goes on
where the first was stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wrp_jax import interrupts
from wrp_jax.config import MotionConfig
from wrp_jax.data.flow_files import write_flow
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.split import split_source
from wrp_jax.files.failures import Failures
from wrp_jax.files.output import check_name
from wrp_jax.files.records import Records, fingerprint, run_mark
from wrp_jax.files.shards import WHOLE, Shard
from wrp_jax.motion.build import motion_digest
from wrp_jax.motion.precomputed import flow_stem
from wrp_jax.types import Motion, UserError

GROUP = 8
"""Pairs of a distance that are read and written together, per direction of time."""

RESULT_VERSION = 1
"""Raised when the program finds other flow between the same frames: files are made again."""


def dump(
    motion: Motion,
    source: VideoSource,
    output: Path,
    *,
    suffix: str,
    apart: Sequence[int] = (1,),
    failures: Failures | None = None,
    limit: int | None = None,
    shard: Shard = WHOLE,
) -> int:
    """Writes the flows between all frames of a source that are so far apart, in both directions.

    Args:
      motion: f_θ.
      source: the video.
      output: DIR of the layout.
      suffix: one of ``flow_files.SUFFIXES``.
      apart: distances in frames; 1 is the neighbours.
      failures: lists the sequences with a frame that cannot be read, of which only a part is
        written; those of the output if absent.
      limit: of those sequences the first so many are written only.
      shard: whose sequences are written.

    Returns:
      How many files were written; those kept are passed over. Files of frames that the source does
      not have any more are removed.

    Raises:
      UserError: a file cannot be written, or not in this format.
    """
    failures = Failures(output, shard) if failures is None else failures
    sequences = split_source(source, shard.count)[shard.index]
    listed = [{"sequence": sequence} for sequence in sequences]
    failures.keep_only(listed)
    written, records = 0, Records(output, shard)
    digests = SourceDigests(source, records.digests)
    for sequence in sequences[:limit]:
        names = source.frame_names(sequence)
        for name in (sequence, *names):
            check_name(name)
        parts, whole = _parts(names, apart), 0
        for part in parts:
            interrupts.check()
            with failures.of(sequence=sequence):
                written += _dump_part(motion, source, records, digests, sequence, *part, suffix)
                whole += 1
        if whole == len(parts):
            failures.succeeded(sequence=sequence)
    records.tell()
    if shard.is_all:
        records.keep_only(path for path in records.files() if _has_frames(path, output, source))
    failures.keep_only(listed)  # in order
    failures.save()
    records.save()
    return written


def unfinished(
    source: VideoSource, output: Path, suffix: str, apart: Sequence[int], count: int
) -> tuple[int, ...]:
    """Shards with a sequence that neither has all of its flow nor has failed; opens no frame.

    Args:
      source: the video.
      output: DIR.
      suffix: of ``dump``.
      apart: of ``dump``.
      count: of the shards.
    """
    failures = Failures(output)

    def finished(sequence: str) -> bool:
        if {"sequence": sequence} in failures:
            return True
        names = source.frame_names(sequence)
        # From the end: a shard that is at work has not come there yet.
        pairs = [pair for d in apart for pair in _pairs(0, len(names), d)]
        return all(_file(output, sequence, names, *p, suffix).is_file() for p in reversed(pairs))

    parts = enumerate(split_source(source, count))
    return tuple(i for i, sequences in parts if not all(map(finished, reversed(sequences))))


def _has_frames(path: Path, output: Path, source: VideoSource) -> bool:
    """Whether a flow file is one between frames of the source."""
    sequence, kind, *others, file = path.relative_to(output).parts
    if sequence not in source.sequences:
        return False
    names = source.frame_names(sequence)
    first = 1 if kind == "backward" else 0  # the first frame has none before it
    last = len(names) - 1 if kind == "forward" else len(names)
    return {*others, file.rpartition(".")[0]} <= set(names[first:last])


def survey_flow(
    source: VideoSource,
    output: Path,
    *,
    suffix: str,
    apart: Sequence[int] = (1,),
    limit: int | None = None,
    shard: Shard = WHOLE,
    run: Mapping[str, Any] | None = None,
) -> tuple[int, dict[str, int]]:
    """How many files are there already, and how many are missing, by sequence. Writes nothing.

    Args:
      source: the video.
      output: DIR; it need not exist.
      suffix: one of ``flow_files.SUFFIXES``.
      apart: distances in frames.
      limit: of those sequences the first so many are looked at only.
      shard: whose sequences are looked at.
      run: what ``run.json`` is going to say; None: what it says.

    Raises:
      UserError: a frame cannot be read.
    """
    before, missing, records = 0, {}, Records(output, shard)
    digests = SourceDigests(source, records.digests)
    for sequence in split_source(source, shard.count)[shard.index][:limit]:
        names = source.frame_names(sequence)
        wanted = [
            one
            for first, distance in _parts(names, apart)
            for one in _wanted(records, digests, sequence, names, first, distance, suffix, run)
        ]
        there = sum(records.is_current(path, mark) for _, path, mark in wanted)
        before += there
        if len(wanted) > there:
            missing[sequence] = len(wanted) - there
    return before, missing


def _parts(names: Sequence[str], apart: Sequence[int]) -> list[tuple[int, int]]:
    """First frame and distance of every group of pairs."""
    return [(first, d) for d in apart for first in range(0, len(names) - d, GROUP)]


def _wanted(
    records: Records,
    digests: SourceDigests,
    sequence: str,
    names: tuple[str, ...],
    first: int,
    distance: int,
    suffix: str,
    run: Mapping[str, Any] | None = None,
) -> Iterator[tuple[tuple[int, int], Path, str]]:
    """The pairs of a group, the file of each, and the fingerprint of what it is made from."""
    mark, last = run_mark(records.output, run=run), min(first + GROUP + distance, len(names))
    for pair in _pairs(first, last, distance):
        path = _file(records.output, sequence, names, *pair, suffix)
        seen = names[max(min(pair) - distance, 0) : max(pair) + distance + 1]
        places = [seen.index(names[i]) for i in pair]
        yield pair, path, fingerprint(RESULT_VERSION, mark, places, digests.frames(sequence, seen))


def _dump_part(
    motion: Motion,
    source: VideoSource,
    records: Records,
    digests: SourceDigests,
    sequence: str,
    first: int,
    distance: int,
    suffix: str,
) -> int:
    """The pairs that begin at ``GROUP`` frames from ``first`` on."""
    names = source.frame_names(sequence)
    last = min(first + GROUP + distance, len(names))
    wanted = _wanted(records, digests, sequence, names, first, distance, suffix)
    missing = [one for one in wanted if not records.is_current(*one[1:])]
    if not missing:
        return 0
    # A motion that looks beyond the pair finds a frame on either side.
    begin, end = max(first - distance, 0), min(last + distance, len(names))
    targets, sources = ([pair[k] - begin for pair, *_ in missing] for k in (0, 1))
    try:
        flows = motion(read_clip(source, sequence, names[begin:end]), targets, sources)
    except UserError:
        records.remove(path for _, path, _ in missing)  # of frames as they were before
        raise
    for (_, path, mark), flow in zip(missing, flows, strict=True):
        write_flow(path, flow)
        records.add(mark, [path])
    return len(missing)


def _pairs(first: int, last: int, distance: int) -> Iterator[tuple[int, int]]:
    for i in range(first, last - distance):
        yield i + distance, i
        yield i, i + distance


def _file(
    output: Path, sequence: str, names: tuple[str, ...], target: int, source: int, suffix: str
) -> Path:
    stem = flow_stem(output, sequence, names, target, source)
    return stem.with_name(stem.name + suffix)


def settings(config: MotionConfig, suffix: str) -> dict:
    """What the files depend on, as JSON."""
    motion = {"options": dataclasses.asdict(config), "weights": motion_digest(config)}
    return {"motion": motion, "format": suffix}
