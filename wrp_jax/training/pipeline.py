"""Examples → shuffled, transformed, batched, checkpointable iterator (Grain, host numpy only).

Which examples a batch holds and what a random transform draws depend on the seed and on the
position in the endless shuffled list alone: not on threads, worker processes, or how often
the run was interrupted. Of several processes each reads its part of every global batch, which is
the batch of one process, in its order. Nothing here imports jax: worker processes import this
module again.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast, runtime_checkable

import grain
import numpy as np
from absl import flags

from wrp_jax import interrupts
from wrp_jax.types import UserError

Transform = Callable[[Any, np.random.Generator], Any]


@runtime_checkable
class Examples(Protocol):
    """Random access to examples: pytrees of arrays whose shapes agree after the transform."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class Batches(Iterator[Any]):
    """Endless iterator over batches that can be put back to any position at no cost.

    The position is a number of batches, so a state saved with some number of threads or
    workers resumes with any other.

    Attributes:
      batch_size: examples of one global batch, over all processes.
    """

    def __init__(
        self,
        dataset: grain.MapDataset,
        batch_size: int,
        *,
        threads: int,
        workers: int,
        closed: list[bool],
    ):
        self.batch_size = batch_size
        self._closed = closed
        self._dataset = dataset
        self._threads = threads
        self._workers = workers
        self._iterator: Iterator[Any] | None = None
        self._next_index = 0

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = self._start()
        try:
            batch = next(self._iterator)
        except Exception:
            interrupts.check()  # a signal to the whole process group ends the workers first
            raise
        self._next_index += 1
        return _own_memory(batch) if self._workers else batch

    def get_state(self) -> dict[str, int]:
        """JSON-serialisable position: the batch that comes next."""
        return {"next_index": self._next_index}

    def set_state(self, state: dict[str, int]) -> None:
        """Continue from a position that ``get_state`` gave."""
        self.close()
        self._next_index = int(state["next_index"])

    def close(self) -> None:
        """End reader threads and worker processes; the next ``next`` starts them again."""
        self._closed[0] = True
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
        self._iterator = None

    def _start(self) -> Iterator[Any]:
        self._closed[0] = False
        rest = self._dataset[self._next_index :]
        if self._workers:
            if not flags.FLAGS.is_parsed():  # Grain reads its own flags when it starts workers.
                flags.FLAGS.mark_as_parsed()
            # Each worker reads one batch at a time: parallelism comes from the processes.
            read = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
            processes = grain.MultiprocessingOptions(num_workers=self._workers)
            return iter(rest.to_iter_dataset(read).mp_prefetch(processes, _begin_worker))
        read = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=2 * self._threads)
        return iter(rest.to_iter_dataset(read))


def make_batches(
    examples: Examples,
    *,
    batch_size: int,
    seed: int,
    transform: Transform | None = None,
    shuffle: bool = True,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 2,
    workers: int = 0,
) -> Batches:
    """Endless batches: every example once per pass, in a new order each pass.

    Args:
      examples: random access; may hold fewer examples than a batch.
      batch_size: examples of one global batch, over all processes.
      seed: of the order and of ``transform``.
      transform: ``transform(example, rng) -> example``, e.g. crop and colour; the generator is
        a function of ``seed`` and the position in the endless list.
      shuffle: whether each pass has a random order.
      process_index: which of the processes this is.
      process_count: number of processes; each reads ``batch_size / process_count`` examples in a
        row of every batch.
      threads: reader threads; 0: the caller's own.
      workers: worker processes, which take the place of the threads; the examples and the
        transform are pickled, and the program needs ``if __name__ == "__main__"``.

    Raises:
      UserError: no examples, or a batch that does not divide over the processes.
    """
    if len(examples) == 0:
        raise UserError("There is no labelled frame to train on: give --keyframes or --stills.")
    if batch_size % process_count:
        raise UserError(
            f"batch_size {batch_size} is not a multiple of the {process_count} processes: "
            f"choose another batch_size."
        )
    dataset = _source(examples).seed(seed)
    if shuffle:
        dataset = dataset.shuffle()
    dataset = dataset.repeat()
    closed = [False]
    if transform is not None:
        dataset = dataset.random_map(functools.partial(_transform_unless_closed, closed, transform))
    dataset = _PartOfBatches(dataset, batch_size, process_index, process_count)
    # The list is endless: nothing is dropped. Rounding its length up overflows for batches of one.
    dataset = dataset.batch(batch_size // process_count, drop_remainder=True)
    return Batches(dataset, batch_size, threads=threads, workers=workers, closed=closed)


def _begin_worker(index: int, count: int) -> None:
    """Ctrl-C reaches every process of the terminal: the program alone answers, and ends these.

    However it ends, they end too.
    """
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # a pipe that the kernel closes with the parent, killed or not
        os._exit(1)


class _PartOfBatches(grain.MapDataset):
    """Of every ``batch_size`` examples in a row those of one process, in a row too.

    A global array puts the parts one behind the other: a slice ``[i::n]`` would give every process
    the same set in another order, and what draws by position in the batch (dropout) other numbers.
    """

    def __init__(self, parent: grain.MapDataset, batch_size: int, index: int, count: int):
        super().__init__(parent)
        self._batch_size, self._part, self._index = batch_size, batch_size // count, index
        self._count = count

    def __len__(self) -> int:
        return len(self._parent) // self._count

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        batch, place = divmod(index, self._part)
        return self._parent[batch * self._batch_size + self._index * self._part + place]


class _ClosedError(Exception):
    """Nobody wants the batch any more."""


def _transform_unless_closed(
    closed: list[bool], transform: Transform, example: Any, rng: Any
) -> Any:
    """The program cannot end while a thread still reads: it may leave its batch half read."""
    if closed[0]:
        raise _ClosedError
    return transform(example, rng)


def _source(examples: Examples) -> grain.MapDataset:
    return grain.MapDataset.source(cast(Any, examples))  # Grain's type has no list, but takes one


def _own_memory(batch: Any) -> Any:
    """Copies a batch out of the memory shared with a worker, which then can be given back."""
    if isinstance(batch, dict):
        return {key: _own_memory(value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_own_memory, batch))
    if isinstance(batch, list | tuple):
        return type(batch)(map(_own_memory, batch))
    return np.array(batch, copy=True, subok=False)
