"""A progress bar with the time left."""

from __future__ import annotations

import os
import sys
import time
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
_BUSY = 0.8
"""Share of its cores that a stage keeps busy."""


def duration(seconds: float) -> str:
    """A time in a unit that suits it, such as ``5 min``."""
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def on_all_cores(seconds: float) -> float:
    """How long work takes that keeps one core busy for so many seconds, on all of this machine.

    Of eight cores or more, eight are counted: what runs here gets little out of further ones.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return seconds / (_BUSY * min(cores or 1, 8))


class Progress:
    """A bar with the time left on a terminal; elsewhere a line every twenty seconds.

    The first step of a stage also compiles its programs, which says nothing about the steps that
    follow: the time left is told from the second step on, from the speed since the first. Elsewhere
    than on a terminal there are two lines at once: one that says what begins, and one with the time
    as soon as a few seconds of steps have been seen.

    Args:
      name: of the stage.
      steps: number of steps in all.
      step: finished steps at the start.
      stream: where to write; stderr by default.
      expected: seconds that the steps to do will take, where that is known before the first;
        told from ten on.
    """

    def __init__(
        self, name: str, steps: int, step: int, stream: Any = None, *, expected: float | None = None
    ):
        self._name, self._steps, self._first = name, steps, step
        self._stream = sys.stderr if stream is None else stream
        self._start = self._last_line = time.monotonic()
        self._step = step
        self._warm: tuple[float, int] | None = None  # when, and at which step, the first was done
        self._shown = jax.process_index() == 0
        self._text = ""
        self._estimated = False  # a line has told the time left
        self._told: int | None = None  # the step of the newest line
        self._bar = None
        if self._shown and expected is not None and expected >= _LEAST_FORETOLD:
            told = f"{name} takes about {duration(expected)} where nothing else runs"
            print(told, file=self._stream, flush=True)
        if self._shown and self._stream.isatty():
            self._bar = tqdm.tqdm(
                total=steps, initial=step, desc=name, unit="step", file=self._stream,
                dynamic_ncols=True, postfix=_FIRST,
            )  # fmt: skip
        elif self._shown and steps - step > 1:
            print(f"{name}: {steps - step} to do; {_FIRST}", file=self._stream, flush=True)

    def update(self, step: int, metrics: dict[str, float] | None = None) -> None:
        """Shows that ``step`` steps are finished, and the newest metrics."""
        if metrics:
            self._text = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        advanced, self._step = step - self._step, step
        first = self._warm is None and advanced > 0
        if first:
            self._warm = time.monotonic(), step
        if self._bar is not None:
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
        if self._bar is not None:
            self._bar.close()
        elif self._shown and self._step != self._told:
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
