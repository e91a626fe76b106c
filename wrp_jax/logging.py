"""What a training run says about itself: JSON lines, TensorBoard events, a progress bar.

Process 0 alone writes. ``workdir/metrics.jsonl`` has one object per line, ``{"stage", "step",
"seconds", metric: value, …}``; ``step`` counts finished steps. A resumed run takes back the
lines of steps that it will do again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax
import tqdm

from wrp_jax.checkpoint import write_atomically

_SECONDS_BETWEEN_LINES = 20.0


class MetricsLog:
    """Metrics of one stage, to ``metrics.jsonl`` and, with tensorboardX, to ``tensorboard/``.

    Args:
      workdir: of the run.
      stage: name of the stage; the lines of other stages are left alone.
      step: finished steps at the start; later lines of this stage are removed.
    """

    def __init__(self, workdir: str | os.PathLike, stage: str, step: int):
        self._stage = stage
        self._file = None
        self._events = None
        if jax.process_index() != 0:
            return
        path = Path(workdir) / "metrics.jsonl"
        _forget_later_lines(path, stage, step)
        self._file = path.open("a", encoding="utf-8")
        self._events = _event_writer(Path(workdir) / "tensorboard" / stage, step)

    def write(self, step: int, metrics: dict[str, float], seconds: float) -> None:
        """One line: metrics as they stand after ``step`` steps, ``seconds`` of this call."""
        if self._file is None:
            return
        line = {"stage": self._stage, "step": step, "seconds": round(seconds, 2), **metrics}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._events is not None:
            for name, value in metrics.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Closes the files."""
        if self._file is not None:
            self._file.close()
        if self._events is not None:
            self._events.close()


class Progress:
    """A bar with the time left on a terminal; elsewhere a line every twenty seconds.

    Args:
      name: of the stage.
      steps: number of steps in all.
      step: finished steps at the start.
      stream: where to write; stderr unless told.
    """

    def __init__(self, name: str, steps: int, step: int, stream: Any = None):
        self._name, self._steps, self._first = name, steps, step
        self._stream = sys.stderr if stream is None else stream
        self._start = self._last_line = time.monotonic()
        self._step = step
        self._shown = jax.process_index() == 0
        self._text = ""
        self._bar = None
        if self._shown and self._stream.isatty():
            self._bar = tqdm.tqdm(
                total=steps, initial=step, desc=name, unit="step", file=self._stream,
                dynamic_ncols=True,
            )  # fmt: skip

    def update(self, step: int, metrics: dict[str, float] | None = None) -> None:
        """Shows that ``step`` steps are finished, and the newest metrics."""
        if metrics:
            self._text = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        advanced, self._step = step - self._step, step
        if self._bar is not None:
            if metrics:
                self._bar.set_postfix_str(self._text, refresh=False)
            self._bar.update(advanced)
        elif self._shown and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._line()

    def close(self) -> None:
        """Ends the bar, or writes the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._shown:
            self._line()

    def _line(self) -> None:
        self._last_line = now = time.monotonic()
        done = self._step - self._first
        line = f"{self._name} {self._step}/{self._steps}"
        if self._text:
            line += f", {self._text}"
        if done and self._step < self._steps:
            left = (now - self._start) / done * (self._steps - self._step)
            line += f", {tqdm.tqdm.format_interval(left)} left"
        elif done:
            line += f", {tqdm.tqdm.format_interval(now - self._start)}"
        print(line, file=self._stream, flush=True)


def _forget_later_lines(path: Path, stage: str, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if _stays(line, stage, step)]
    if kept != lines:
        write_atomically(path, "".join(kept).encode())


def _stays(line: str, stage: str, step: int) -> bool:
    """False for later lines of this stage, and for a line that a kill cut off."""
    try:
        entry = json.loads(line)
        return line.endswith("\n") and not (entry["stage"] == stage and entry["step"] > step)
    except (ValueError, KeyError, TypeError):
        return False


def _event_writer(folder: Path, step: int) -> Any:
    """A tensorboardX writer, or None where the extra is not installed."""
    try:
        import tensorboardX
    except ImportError:
        return None
    return tensorboardX.SummaryWriter(str(folder), purge_step=step + 1 if step else None)
