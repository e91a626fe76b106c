"""Batches on the devices, ahead of their use."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from jax.sharding import Mesh

from wrp_jax.sharding import (
    global_batch,
)
from wrp_jax.training.pipeline import Batches


class DeviceBatches(Iterator[Any]):
    """Global batches on the devices, a few ahead of the one in use.

    Its state is that of the batch it hands out next, not of the one it has read last.
    """

    def __init__(self, batches: Batches, mesh: Mesh, *, ahead: int = 2):
        self._batches = batches
        self._mesh = mesh
        self._ahead = ahead
        self._ready: collections.deque[tuple[dict[str, int], Any]] = collections.deque()

    def __next__(self) -> Any:
        while len(self._ready) <= self._ahead:
            state = self._batches.get_state()
            self._ready.append((state, global_batch(next(self._batches), self._mesh)))
        return self._ready.popleft()[1]

    def get_state(self) -> dict[str, int]:
        """Position of the batch that ``next`` returns."""
        return self._ready[0][0] if self._ready else self._batches.get_state()

    def set_state(self, state: dict[str, int]) -> None:
        """Continue from a position that ``get_state`` gave."""
        self._ready.clear()
        self._batches.set_state(state)

    def close(self) -> None:
        """End reader threads and worker processes."""
        state = self.get_state()
        self.set_state(state)
