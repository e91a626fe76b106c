"""Whole sequences for each of several processes, with about as many frames for each."""

from __future__ import annotations

import heapq
from collections.abc import Mapping


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
