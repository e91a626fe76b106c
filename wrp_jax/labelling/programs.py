"""Tells when frames of a further size make JAX compile more programs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import jax.monitoring

_COMPILED = "/jax/core/compile/backend_compile_duration"
"""JAX's name for the event: a program was compiled, or found among those that were kept."""
_log = logging.getLogger(__name__)


class CompiledBySize:
    """Programs by the size of the frames that asked for them first."""

    def __init__(self) -> None:
        """Listens to nothing yet."""
        self._sizes: set[tuple[int, int]] = set()
        self._count, self._seconds = 0, 0.0

    @contextlib.contextmanager
    def of(self, size: tuple[int, int], sequence: str) -> Iterator[None]:
        """Says on stderr how many programs the body needed, if its size is new but not the first.

        Args:
          size: height and width of the frames.
          sequence: of the frames, for the message.
        """
        self._count, self._seconds = 0, 0.0
        jax.monitoring.register_event_duration_secs_listener(self._note)
        try:
            yield
        finally:
            jax.monitoring.unregister_event_duration_listener(self._note)
        if self._sizes and size not in self._sizes and self._count:
            _log.warning(
                "frames of %dx%d (%s) are of a new size: %d more programs were compiled in %.1f s",
                size[1], size[0], sequence, self._count, self._seconds,
            )  # fmt: skip
        self._sizes.add(size)

    def _note(self, event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILED:
            self._count += 1
            self._seconds += duration_secs
