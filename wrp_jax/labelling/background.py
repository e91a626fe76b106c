"""What need not be waited for: while a frame is worked on, threads read the next ones and write
those that are finished.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Reads what comes next in a thread, in order, each once.

    No more than ``ahead`` results wait to be asked for, so that memory does not grow. A fault is
    raised where its own result is asked for, and the others are not touched by it. Nothing is read
    before the first call; at the end of the ``with`` block a read that runs is waited for, and what
    was read in vain is dropped.

    Example:
      >>> with ReadAhead(lambda position: 10 * position, count=3, ahead=2) as read:
      ...     [read(0), read(1), read(2)]
      [0, 10, 20]
    """

    def __init__(self, read: Callable[[int], T], count: int, ahead: int):
        """Reads nothing yet.

        Args:
          read: returns what stands at a position; the thread calls it, too.
          count: how many positions there are.
          ahead: how many results may wait; at least one.
        """
        self._read, self._count, self._ahead = read, count, ahead
        self._pool = ThreadPoolExecutor(1, "reader")
        self._waiting: collections.deque[Future[T]] = collections.deque()
        self._next = 0

    def __enter__(self) -> ReadAhead[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._waiting.clear()

    def __call__(self, position: int) -> T:
        """What stands at a position: those in order are read before; any other is read now.

        Raises:
          Exception: of ``read``, at this position.
        """
        if position != self._next:
            return self._read(position)
        self._look_ahead(position + 1)  # this one, if it is the first
        found = self._waiting.popleft()
        self._next += 1
        try:
            return found.result()
        finally:
            self._look_ahead(position + 1 + self._ahead)

    def _look_ahead(self, stop: int) -> None:
        first = self._next + len(self._waiting)
        for position in range(first, min(stop, self._count)):
            self._waiting.append(self._pool.submit(self._read, position))


class Background:
    """Runs calls in a few threads, in the order in which they come.

    No more of them wait or run than there are threads, so that memory does not grow. The first
    fault is raised by a later ``run``, or at the end of the ``with`` block. Where the block itself
    fails, calls that run are waited for.

    Packing a PNG and bringing it to the disk release the interpreter's lock.

    Example:
      >>> with Background(threads=2) as background:
      ...     background.run(print, "written")
      written
    """

    def __init__(self, threads: int):
        """Starts nothing yet.

        Args:
          threads: how many.
        """
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "background")
        self._unfinished: collections.deque[Future[Any]] = collections.deque()

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            while self._unfinished and kind is None:
                self._unfinished.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def run(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Runs a call soon; waits where as many as there are threads are not finished yet.

        Raises:
          Exception: of an earlier call.
        """
        while len(self._unfinished) >= self._threads:
            self._unfinished.popleft().result()
        self._unfinished.append(self._pool.submit(call, *arguments, **options))
