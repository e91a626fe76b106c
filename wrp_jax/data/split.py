"""Whole sequences for each of several processes, with about as many frames for each."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from wrp_jax.data.source import VideoSource
from wrp_jax.files.copies import with_addresses
from wrp_jax.files.records import fingerprint


def split_sequences(frames: Mapping[str, int], count: int) -> tuple[frozenset[str], ...]:
    """Gives every sequence to one of so many shards.

    The longest first, each to the shard with the fewest frames so far: no shard has more than a
    fair share and one sequence. The order of the sequences plays no part. Graham 1969, "Bounds on
    multiprocessing timing anomalies".

    Args:
      frames: how many there are to do, by sequence.
      count: of the shards.

    Returns:
      The sequences of each shard; none for some where there are more shards than sequences.

    Example:
      >>> [sorted(part) for part in split_sequences({"a": 9, "b": 5, "c": 4}, 2)]
      [['a'], ['b', 'c']]
    """
    parts: list[set[str]] = [set() for _ in range(count)]
    loads = [(0, index) for index in range(count)]
    for sequence in sorted(frames, key=lambda name: (-frames[name], name)):
        load, index = heapq.heappop(loads)
        parts[index].add(sequence)
        heapq.heappush(loads, (load + frames[sequence], index))
    return tuple(map(frozenset, parts))


def split_source(source: VideoSource, count: int) -> tuple[tuple[str, ...], ...]:
    """``split_sequences`` of all frames of a source; the sequences of a shard in their order."""
    frames = {sequence: len(source.frame_names(sequence)) for sequence in source.sequences}
    parts = split_sequences(frames, count)
    return tuple(tuple(s for s in source.sequences if s in part) for part in parts)


def job_of_source(data: str, source: VideoSource, *asked: object) -> dict[str, Any]:
    """The job of shards that make something of every frame, see ``files.shards.shard_writer``.

    Args:
      data: the name by which the source was opened.
      source: the video.
      *asked: JSON values on which depends what is made of each frame.
    """
    names = [[sequence, source.frame_names(sequence)] for sequence in source.sequences]
    return {"data": with_addresses(data), "plan": fingerprint(names, *asked), "command": None}
