"""What a training run says about itself: JSON lines, TensorBoard events, a progress bar.

Process 0 alone writes. ``workdir/metrics.jsonl`` has one object per line, ``{"stage", "step",
"seconds", metric: value, …}``; ``step`` counts finished steps. A resumed run takes back the
lines of steps that it will do again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import jax

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import check_place
from wrp_jax.files.regular import read_bytes
from wrp_jax.machine import cannot_write


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
        path = self._path = Path(workdir) / "metrics.jsonl"
        try:
            _drop_lines_after(path, stage, step)
            check_place(path)
            self._file = os.fdopen(_no_link(path), "a", encoding="utf-8")
            self._events = _event_writer(Path(workdir) / "tensorboard" / stage, step)
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, step: int, metrics: dict[str, float], seconds: float) -> None:
        """One line: metrics as they stand after ``step`` steps, ``seconds`` of this call."""
        if self._file is None:
            return
        line = {"stage": self._stage, "step": step, "seconds": round(seconds, 2), **metrics}
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            if self._events is not None:
                self._events.write(step, metrics)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def close(self) -> None:
        """Closes the files."""
        for file in (self._file, self._events):
            with contextlib.suppress(OSError):  # of a line that ``write`` has complained of
                if file is not None:
                    file.close()


def _no_link(path: Path) -> int:
    """A handle to append to a file by; a link in its place is not followed."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags, 0o666)


def _drop_lines_after(path: Path, stage: str, step: int) -> None:
    if not path.exists():
        return
    lines = read_bytes(path).decode(errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if _is_up_to(line, stage, step)]
    if kept != lines:
        write_atomically(path, "".join(kept).encode())


def _is_up_to(line: str, stage: str, step: int) -> bool:
    """False for later lines of this stage, and for a line that a kill cut off."""
    try:
        entry = json.loads(line)
        return line.endswith("\n") and not (entry["stage"] == stage and entry["step"] > step)
    except (ValueError, KeyError, TypeError):
        return False


class _Events:
    """TensorBoard's events, written by the caller.

    tensorboardX's ``SummaryWriter`` hands them to a thread, which dies where the disk is full, and
    then waits for it.
    """

    def __init__(self, folder: Path, step: int):
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2

        messages: Any = event_pb2  # which are made when it is imported
        self._event, self._scalar = messages.Event, summary.scalar
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = event_file_writer.EventsWriter(str(folder / "events"))
        if step:  # TensorBoard forgets what an earlier run has written of later steps
            start = messages.SessionLog(status=messages.SessionLog.START)
            self._writer.write_event(self._event(step=step + 1, session_log=start))

    def write(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            value = self._scalar(name, value)
            self._writer.write_event(self._event(step=step, summary=value, wall_time=time.time()))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _event_writer(folder: Path, step: int) -> _Events | None:
    """None where the extra is not installed."""
    try:
        import tensorboardX  # noqa: F401 (asked whether it is there)
    except ImportError:
        return None
    check_place(folder / "events")
    return _Events(folder, step)
