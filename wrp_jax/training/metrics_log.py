"""What a training run says about itself: JSON lines, TensorBoard events, a progress bar.

Process 0 alone writes. ``workdir/metrics.jsonl`` has one object per line, ``{"stage", "step",
"seconds", metric: value, …}``; ``step`` counts finished steps. A resumed run takes back the
lines of steps that it will do again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jax

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.regular import read_bytes


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
        _drop_lines_after(path, stage, step)
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


def _event_writer(folder: Path, step: int) -> Any:
    """A tensorboardX writer, or None where the extra is not installed."""
    try:
        import tensorboardX
    except ImportError:
        return None
    return tensorboardX.SummaryWriter(str(folder), purge_step=step + 1 if step else None)
