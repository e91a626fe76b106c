"""What a video file is, and an output of ``wrp propagate``: neither is a folder of pictures."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from wrp_jax.data.tool_formats.film import Film
from wrp_jax.files.failures import Failures
from wrp_jax.files.records import Records
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import UserError

_EVEN = 1.5
"""Times between frames that differ by more than this factor are those of a varying rate."""
_MOST_BYTES = 2**26


def film_told(path: Path, limit: int) -> tuple[list[str], list[str]]:
    """Looks at a video file.

    Args:
      path: it.
      limit: frames to decode at most.

    Returns:
      Lines that say what it is, and what is wrong with it.
    """
    try:
        film = Film(path, partial=True, most=limit)
    except UserError as error:
        return [], [str(error)]
    height, width = film.size
    decoded, announced = len(film.times), film.announced
    count = str(decoded)
    if decoded == limit:
        count = f"{announced or 'at least ' + str(decoded)} ({decoded} looked at)"
    parts = [f"{path}: {count} frames of {width}x{height}"]
    parts += [f"{film.seconds:.1f} s"] if film.seconds else []
    times = [time for time in film.times if time is not None]
    steps = [after - before for before, after in itertools.pairwise(times)]
    if steps and min(steps) > 0:
        rate = f"{len(steps) / sum(steps):.1f} frames per second"
        parts.append(f"{rate}, a rate that varies" if max(steps) > _EVEN * min(steps) else rate)
    problem = f"{path} {film.broken}: copy it again, or import it with --partial."
    return ["; ".join(parts)], [problem] if film.fault else []


def output_told(path: Path) -> tuple[list[str], list[str]]:
    """Looks at an output: what it says of itself, and whether its files are there.

    Returns:
      Lines that say what it is, and what is wrong with it.
    """
    lines, problems = [], []
    try:
        metrics = read_json(path / "metrics.json", limit=_MOST_BYTES)
        mean = metrics["methods"][metrics["method"]].get("mean")
        scored = "nothing is scored" if mean is None else f"mIoU {mean:.1f} %"
        lines.append(
            f"labelled by {metrics['method']}: frames {int(metrics['frames'])}, windows "
            f"{int(metrics['windows'])}; {scored}"
        )
    except (UserError, ValueError, KeyError, TypeError, AttributeError):
        problems.append(
            f"{path} is not finished, metrics.json is missing or damaged: run the command that "
            "wrote it again, which goes on."
        )
    files = list(Records(path).files())
    gone = [file for file in files if not os.path.lexists(file)]
    lines.append(f"files it records: {len(files)}, of which {len(gone)} are gone")
    if gone:
        problems.append(f"{gone[0]} is gone ({len(gone)} in all): run the command again.")
    failures = Failures(path)
    if failures:
        problems.append(f"{failures.path}: {len(failures)} windows failed: {failures.reasons[0]}")
    return lines, problems
