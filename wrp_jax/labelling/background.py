"""Work that the caller need not wait for: pictures are packed and written while others are made."""

from __future__ import annotations

import collections
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


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
