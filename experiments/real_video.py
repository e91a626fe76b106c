"""How good are the labels of real video, by method and by distance from the labelled frame?

python -m experiments.real_video --data=D --windows=FILE [--stills=ROOT:SPLITFILE] --output=DIR \\
    [--record=NAME]

Trains with default options on the labelled frame of each window alone, labels all frames by every
method, and scores them where D has a label. Stopped at any time, the same command goes on.

Finding: warp-refine is ahead of every other method at each distance on CamVid, the Chen clips
(at ±10 level with segmentation) and DAVIS 2016; results/camvid.json, chen.json, davis.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.record import ROOT, record_option, write_result

NOTE = (
    "mIoU in % over the classes other than void, by frames from the labelled one; "
    "+void counts void as a class"
)


def scores(output: Path) -> dict[str, dict[str, float]]:
    """Of an output of ``propagate.py``: mIoU in % by method, then by distance, mean and +void."""
    methods = json.loads((output / "metrics.json").read_text())["methods"]
    return {
        name: {**found["miou"], "mean": found["mean"], "+void": found["mean_with_void"]}
        for name, found in methods.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, labels, and prints mIoU by method and distance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--output"):
        parser.add_argument(name, required=True)
    parser.add_argument("--stills", action="append", default=[])
    record_option(parser)
    parsed = parser.parse_args(arguments)
    run, out = Path(parsed.output) / "run", Path(parsed.output) / "out"
    common = [
        "--config=folder", f"--data={parsed.data}", f"--windows={parsed.windows}",
        f"--workdir={run}",
    ]  # fmt: skip
    stills = [f"--stills={spec}" for spec in parsed.stills]
    for words in (["train.py", *stills], ["propagate.py", "--method=all", f"--output={out}"]):
        subprocess.run([sys.executable, str(ROOT / words[0]), *common, *words[1:]], check=True)
    found = scores(out)
    for method, values in found.items():
        known = {key: value for key, value in values.items() if value is not None}
        print(f"{method:16s}", *(f"{key}: {value:.1f}" for key, value in known.items()), sep="  ")
    if parsed.record:
        write_result(parsed.record, found, seeds=[0], note=NOTE)


if __name__ == "__main__":
    main()
