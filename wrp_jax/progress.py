"""A progress bar with the time left, and what is waited for while nothing else is said."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import tqdm

_SECONDS_BETWEEN_LINES = 20.0
_SECONDS_OF_SPEED = 3.0
"""How long steps are watched before the time left is told for the first time."""
_LEAST_FORETOLD = 10.0
"""Seconds; nobody asks for the time of what takes less."""
_FIRST = "programs are compiled first"
"""Told where a stage begins: on few cores this takes longer than many steps, and shows nothing."""
_SILENCE = 30.0
"""Seconds without a word after which it is said what is waited for, and how long already."""
_LOOK_EVERY = 1.0  # seconds between looks at the clock
_BUSY = 0.8
"""Share of its cores that a stage keeps busy."""


def duration(seconds: float) -> str:
    """A time in a unit that suits it, such as ``5 min``."""
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def on_all_cores(seconds: float, at_most: int = 8) -> float:
    """How long work takes that keeps one core busy for so many seconds, on all of this machine.

    Args:
      seconds: of one core.
      at_most: cores that are counted; what runs here gets little out of more than eight.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return seconds / (_BUSY * min(cores or 1, at_most))


@contextlib.contextmanager
def waiting(what: str, *, alone: bool = False) -> Iterator[None]:
    """Says what is waited for, and for how long, after every thirty seconds without a word.

    It ends with the body, however that ends. Of what is waited for at the same time the innermost
    is told. Nothing is printed where the body is quick, where it says enough itself (`Progress`),
    and in other processes than the first.

    Args:
      what: begins the line, such as ``compiling the training step of motion``.
      alone: neither waiting nor `Progress` inside of the body is shown: it is a trial of work whose
        steps would be taken for the work itself.
    """
    if jax.process_index() != 0:
        yield
        return
    wait = _Wait(lambda: what, time.monotonic(), alone=alone)
    _waits.begin(wait)
    try:
        yield
    finally:
        _waits.end(wait)


@dataclasses.dataclass(eq=False)
class _Wait:
    """Something that is waited for.

    Attributes:
      what: says it.
      since: when the waiting began.
      bar: that is shown meanwhile.
      stream: where else to write; stderr if absent.
      alone: see ``waiting``.
    """

    what: Callable[[], str]
    since: float
    bar: tqdm.tqdm | None = None
    stream: Any = None
    alone: bool = False


class _Waits:
    """All that is waited for, outermost first, and the thread that tells of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[_Wait] = []
        self._told = 0.0  # when the newest word was said
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, wait: _Wait) -> None:
        with self._lock:
            self._open.append(wait)
            if self._thread is None:
                self._told, self._over = time.monotonic(), threading.Event()
                self._thread = threading.Thread(
                    target=self._watch, args=[self._over], name="waiting", daemon=True
                )
                self._thread.start()

    def end(self, wait: _Wait) -> None:
        with self._lock:
            self._open.remove(wait)
            if self._open or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._over.set()
        thread.join(timeout=5.0)  # nothing is told any more; a terminal may hold its output

    @property
    def alone(self) -> _Wait | None:
        """The outermost of which nothing inside is shown."""
        return next((wait for wait in self._open if wait.alone), None)

    def told(self) -> None:
        """Something has been said: silence begins anew."""
        self._told = time.monotonic()

    def look(self) -> None:
        """Says what is waited for if nothing has been said for long."""
        now = time.monotonic()
        with self._lock:
            if not self._open or now - self._told < _SILENCE:
                return
            self._told = now
            newest = self.alone or self._open[-1]
            bar = next((wait.bar for wait in reversed(self._open) if wait.bar is not None), None)
        text = f"{newest.what()}, {_so_far(now - newest.since)} so far"
        if bar is not None:
            bar.set_postfix_str(text)
        else:
            print(text, file=newest.stream or sys.stderr, flush=True)

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(_LOOK_EVERY):
            self.look()


_waits = _Waits()


def _so_far(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """A bar with the time left on a terminal; elsewhere a line every twenty seconds.

    The first step of a stage also compiles its programs, which says nothing about the steps that
    follow: the time left is told from the second step on, from the speed since the first. Elsewhere
    than on a terminal there are two lines at once: one that says what begins, and one with the time
    as soon as a few seconds of steps have been seen.

    As a context manager it also says what is waited for, as `waiting` does, where a step takes
    long.

    Args:
      name: of the stage.
      steps: number of steps in all.
      step: finished steps at the start.
      stream: where to write; stderr by default.
      expected: seconds that the steps to do will take, where that is known before the first;
        told from ten on.
      first: what is waited for until the first step is done.
    """

    def __init__(
        self,
        name: str,
        steps: int,
        step: int,
        stream: Any = None,
        *,
        expected: float | None = None,
        first: str = "",
    ):
        self._name, self._steps, self._first = name, steps, step
        self._stream = sys.stderr if stream is None else stream
        self._start = self._last_line = time.monotonic()
        self._step = step
        self._warm: tuple[float, int] | None = None  # when, and at which step, the first was done
        self._shown = jax.process_index() == 0 and _waits.alone is None
        self._text = ""
        self._estimated = False  # a line has told the time left
        self._told: int | None = None  # the step of the newest line
        self._bar: tqdm.tqdm | None = None
        self._first_wait = first or f"{name}: {step} of {steps} done ({_FIRST})"
        self._wait: _Wait | None = None
        if self._shown and expected is not None and expected >= _LEAST_FORETOLD:
            told = f"{name} takes about {duration(expected)} where nothing else runs"
            print(told, file=self._stream, flush=True)
            _waits.told()
        if self._shown and self._stream.isatty():
            self._bar = tqdm.tqdm(
                total=steps, initial=step, desc=name, unit="step", file=self._stream,
                dynamic_ncols=True, postfix=_FIRST,
            )  # fmt: skip
        elif self._shown and steps - step > 1:
            print(f"{name}: {steps - step} to do; {_FIRST}", file=self._stream, flush=True)
            _waits.told()

    def __enter__(self) -> Progress:
        if self._shown and self._step < self._steps:
            self._wait = _Wait(self._awaited, time.monotonic(), self._bar, self._stream)
            _waits.begin(self._wait)
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _awaited(self) -> str:
        if self._warm is None:
            return self._first_wait
        if self._step >= self._steps:
            return f"{self._name}: ending"
        return f"{self._name}: {self._step} of {self._steps} done"

    def update(self, step: int, metrics: dict[str, float] | None = None) -> None:
        """Shows that ``step`` steps are finished, and the newest metrics."""
        if metrics:
            self._text = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        advanced, self._step = step - self._step, step
        first = self._warm is None and advanced > 0
        if first:
            self._warm = time.monotonic(), step
        if self._wait is not None:
            self._wait.since = time.monotonic()
        if self._bar is not None:
            _waits.told()
            self._bar.set_postfix_str(self._text, refresh=False)
            if first:
                self._bar.reset()  # it counts the speed from here
                self._bar.initial = self._bar.n = self._bar.last_print_n = step
                self._bar.refresh()
            else:
                self._bar.update(advanced)
        elif self._shown and self._is_due():
            self._line()

    def close(self) -> None:
        """Ends the bar, or writes the last line."""
        if self._wait is not None:
            _waits.end(self._wait)
            self._wait = None
        if self._bar is not None:
            self._bar.close()
        elif self._shown and self._steps and self._step != self._told:
            self._line()

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last_line > _SECONDS_BETWEEN_LINES:
            return True
        if self._estimated or self._warm is None or not self._warm[1] < self._step < self._steps:
            return False
        return now - self._warm[0] > _SECONDS_OF_SPEED

    def _line(self) -> None:
        self._last_line = now = time.monotonic()
        self._told = self._step
        line = f"{self._name} {self._step}/{self._steps}"
        if self._text:
            line += f", {self._text}"
        if self._step < self._steps:
            if self._warm is not None and self._step > self._warm[1]:
                rate = (now - self._warm[0]) / (self._step - self._warm[1])
                left = tqdm.tqdm.format_interval(rate * (self._steps - self._step))
                line += f", {left} left"
                self._estimated = True
        elif self._step > self._first:
            line += f", {tqdm.tqdm.format_interval(now - self._start)}"
        print(line, file=self._stream, flush=True)
        _waits.told()
