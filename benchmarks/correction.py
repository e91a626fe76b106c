"""A round trip of one correction: ``python -m benchmarks.correction --data=D --workdir=RUN``.

Frames 0 to 40 of one sequence, frames 10 and 30 labelled, are labelled by ``propagate.py`` as a
person calls it. Then the label of frame 20 is put beside theirs and the same command is called
again: it makes the two spans next to the new label, and these seconds count, the start of the
process included. RUN holds the networks. The median of three corrections, each of an output that
has been labelled before; ``--record=NAME`` stores it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments.record import ROOT, record_option, write_result

FRAMES, KEYS, CORRECTED = 41, (10, 30), 20
SEQUENCE = "0016E5_15hz_a"


def take_clip(data: Path, sequence: str, folder: Path) -> Path:
    """Copies the first frames and two labels of a sequence; returns the third label."""
    clip = folder / sequence
    names = sorted((data / sequence / "frames").iterdir())[:FRAMES]
    labels = {path.stem: path for path in (data / sequence / "labels").iterdir()}
    for kind in ("frames", "labels"):
        (clip / kind).mkdir(parents=True)
    for path in names:
        shutil.copy(path, clip / "frames")
    for key in KEYS:
        shutil.copy(labels[names[key].stem], clip / "labels")
    shutil.copy(data / "classes.json", folder)
    return labels[names[CORRECTED].stem]


def run(command: list[str]) -> tuple[float, float, str]:
    """Wall clock and processor seconds of a command, and what it says on stderr.

    Raises:
      subprocess.CalledProcessError: it fails.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, spent, ended.stderr


def measure(data: Path, sequence: str, workdir: Path, method: str, times: int) -> dict[str, float]:
    """Seconds of the first labelling, and of a correction."""
    wall: list[float] = []
    spent: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place) / "data", Path(place) / "out"
        label = take_clip(data, sequence, folder)
        put = folder / sequence / "labels" / label.name
        command = [
            sys.executable, "propagate.py", "--config=folder", f"--data={folder}",
            f"--workdir={workdir.resolve()}", f"--output={output}", f"--method={method}",
        ]  # fmt: skip
        whole = run(command)
        for turn in range(times):
            if turn:
                put.unlink()
                run(command)
            shutil.copy(label, put)
            seconds, processor, said = run(command)
            if "2 of 4 spans are made again" not in said:
                raise RuntimeError(f"the correction was not taken for one: {said}")
            wall.append(seconds)
            spent.append(processor)
    return {
        "first seconds": whole[0],
        "first processor seconds": whole[1],
        "seconds": statistics.median(wall),
        "processor seconds": statistics.median(spent),
    }


def main() -> None:
    """Reads the flags, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled video")
    parser.add_argument("--sequence", default=SEQUENCE)
    parser.add_argument("--workdir", type=Path, required=True, help="what train made")
    parser.add_argument("--method", default="warp-refine")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--remark", help="what else the machine did")
    record_option(parser)
    parsed = parser.parse_args()
    found = measure(parsed.data, parsed.sequence, parsed.workdir, parsed.method, parsed.times)
    for name, value in found.items():
        print(f"{name}: {value:.1f}")
    if parsed.record:
        note = "Seconds until a corrected label is taken up; frames of 360x480."
        cores = len(os.sched_getaffinity(0))
        figures = {parsed.method: {**found, "cores": cores, "frames": FRAMES}}
        write_result(parsed.record, figures, note=note, remark=parsed.remark)


if __name__ == "__main__":
    main()
