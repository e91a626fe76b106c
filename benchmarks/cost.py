"""Core-hours of labelling 10^3 … 10^9 frames: ``python -m benchmarks.cost [--record=cost]``.

Processor seconds of ``wrp propagate --method=motion-only``, files and all, of two clips of one
picture size; their difference is that of the frames which the longer one has more, so that starting
and compiling are left out. The one sequence is shard 0 of two. Shard 1 has none and merges: its
seconds are those of the TFDS data set and the report. Many frames cost as many times as much, since
no sequence needs another; merging is the work of one process whatever the number of shards.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.memory import write_video
from experiments.record import record_option, write_result

SIZES = {"360x480": (360, 480), "1024x2048": (1024, 2048)}
LENGTHS = (9, 33)
FRAMES = (10**3, 10**6, 10**9)


def seconds_of_shards(root: Path, frames: int, size: tuple[int, int]) -> tuple[float, float]:
    """Processor seconds of labelling one clip, and of merging it."""
    data, output = root / f"{frames}", root / f"out_{frames}"
    write_video(data, frames, size, [frames // 2])
    spent = []
    for index in range(2):
        before = _children()
        subprocess.run(
            [
                sys.executable, "propagate.py", "--config=configs/folder.py", f"--data={data}",
                "--method=motion-only", f"--horizon={frames}", f"--output={output}",
                "--num_shards=2", f"--shard_id={index}",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        spent.append(_children() - before)
    assert (output / "report.html").exists()  # shard 1 has merged
    return spent[0], spent[1]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(size: tuple[int, int]) -> dict[str, Any]:
    """Processor seconds per frame, and hours of many frames."""
    with tempfile.TemporaryDirectory() as folder:
        seconds_of_shards(Path(folder) / "warm", LENGTHS[0], size)  # compiles
        short, long = (seconds_of_shards(Path(folder), n, size) for n in LENGTHS)
    label, merge = ((b - a) / (LENGTHS[1] - LENGTHS[0]) for a, b in zip(short, long, strict=True))
    return {
        "seconds": {"label": label, "merge": merge},
        "hours": {str(n): {"label": n * label / 3600, "merge": n * merge / 3600} for n in FRAMES},
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    options = parser.parse_args()
    figures = {}
    for name, size in SIZES.items():
        figures[name] = measure(size)
        print(name, figures[name], flush=True)
    if options.record:
        write_result(
            options.record,
            figures,
            note="motion-only with DIS; processor seconds of one core per frame, and hours of "
            "many frames; merging is done by one process, labelling by any number",
        )


if __name__ == "__main__":
    main()
