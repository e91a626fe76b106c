"""Writes the flow of any motion to files, in the layout that ``precomputed`` reads.

Files that are there already are kept: a second run goes on where the first was stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from wrp_jax import interrupts
from wrp_jax.config import MotionConfig
from wrp_jax.data.flow_files import write_flow
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.files.output import check_name
from wrp_jax.motion.build import motion_digest
from wrp_jax.motion.precomputed import flow_stem
from wrp_jax.types import Motion

_AT_ONCE = 8  # pairs


def dump(
    motion: Motion, source: VideoSource, output: Path, *, suffix: str, apart: Sequence[int] = (1,)
) -> int:
    """Writes the flows between all frames of a source that are so far apart, in both directions.

    Args:
      motion: f_θ.
      source: the video.
      output: DIR of the layout.
      suffix: one of ``flow_files.SUFFIXES``.
      apart: distances in frames; 1 is the neighbours.

    Returns:
      How many files were written; those there already are passed over.

    Raises:
      UserError: a file cannot be written, or not in this format.
    """
    written = 0
    for sequence in source.sequences:
        names = source.frame_names(sequence)
        for name in (sequence, *names):
            check_name(name)
        for distance in apart:
            for first in range(0, len(names) - distance, _AT_ONCE):
                interrupts.check()
                written += _dump_part(motion, source, output, sequence, first, distance, suffix)
    return written


def _dump_part(
    motion: Motion,
    source: VideoSource,
    output: Path,
    sequence: str,
    first: int,
    distance: int,
    suffix: str,
) -> int:
    """The pairs that begin at ``_AT_ONCE`` frames from ``first`` on."""
    names = source.frame_names(sequence)
    last = min(first + _AT_ONCE + distance, len(names))
    missing = [
        (pair, path)
        for pair in _pairs(first, last, distance)
        if not (path := _file(output, sequence, names, *pair, suffix)).is_file()
    ]
    if not missing:
        return 0
    # A motion that looks beyond the pair finds a frame on either side.
    begin, end = max(first - distance, 0), min(last + distance, len(names))
    clip = read_clip(source, sequence, names[begin:end])
    targets, sources = ([pair[k] - begin for pair, _ in missing] for k in (0, 1))
    flows = motion(clip, targets, sources)
    for (_, path), flow in zip(missing, flows, strict=True):
        write_flow(path, flow)
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
