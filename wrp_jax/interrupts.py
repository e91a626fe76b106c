"""Being told to stop (SIGTERM, Ctrl-C): a flag that work looks at between its pieces.

A handler that raises would raise anywhere: in a callback of JAX, which swallows it, or below some
``except Exception``. So the first signal is noted, and ``check`` raises where nothing is lost:
between steps, windows, frames, examples and files. A second signal ends the program at once,
whatever it does: files appear only when they are complete, so only the work since is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from wrp_jax.types import Interrupted

EXIT_CODE = 4
"""Of a program that was told to stop: the same command goes on."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SAME = 0.1
"""Seconds within which a second signal is the first one again: ``timeout`` signals a program and
its process group, and so the program twice."""


class _Listener:
    """Notes the first signal and answers the second.

    The wake-up socket of the interpreter is written while the main thread is anywhere, in a
    compilation of minutes too; a handler would have to wait for its end.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        wakeup = self._writer.fileno()
        self._wakeup_before = signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def close(self) -> None:
        """Puts everything back as it was."""
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._writer.close()  # ends the thread

    def _note(self, number: int, frame: Any = None) -> None:
        del frame
        if self.reason is None:
            self.reason = f"stopped by {signal.Signals(number).name}"

    def _watch(self) -> None:
        first = None
        with self._reader:
            while numbers := self._reader.recv(64):
                for number in numbers:
                    if number not in _SIGNALS:
                        continue
                    self._note(number)
                    now = time.monotonic()
                    first = now if first is None else first
                    if now - first > _SAME:
                        _end()


_listener: _Listener | None = None


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Signals to stop are noted while the body runs; within another ``listening`` they are already.

    In other threads than the main one, which alone receives signals, it does nothing.
    """
    global _listener
    if _listener is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _listener = _Listener()
    try:
        yield
    finally:
        _listener.close()
        _listener = None


def requested() -> str | None:
    """``stopped by SIGTERM`` if the program was told to stop, else None."""
    return None if _listener is None else _listener.reason


def request(reason: str) -> None:
    """As a signal does, for a program that another one tells to stop; a second call does nothing.

    Args:
      reason: what ``requested`` returns from now on.
    """
    if _listener is not None and _listener.reason is None:
        _listener.reason = reason


def check() -> None:
    """Raises ``Interrupted`` if the program was told to stop; in the main thread alone.

    To be called where all that is finished is saved, or where it costs little to do it again.
    """
    reason = requested()
    if reason is not None and threading.current_thread() is threading.main_thread():
        raise Interrupted(reason)


def _end() -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"stopped at once by a second signal; run the same command to go on.\n")
    os._exit(EXIT_CODE)
