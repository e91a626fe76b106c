"""How good are the labels of real video, by method and by distance from the labelled frame?

python -m experiments.real_video --data=D --windows=FILE [--stills=ROOT:SPLITFILE] --output=DIR \\
    [--config=NAME] [--config.OPTION=VALUE ...] [--record=NAME]

Trains with default options, or those of ``configs/NAME.py`` and the others given, on the labelled
frame of each window alone, labels all frames by every method, and scores them where D has a label.
Stopped at any time, the same command goes on.

Finding: on CamVid, the Chen clips and DAVIS 2016 no method is ahead of warp-refine at any distance
by more than half a point, which is noise; results/camvid.json, chen.json, davis.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.record import ROOT, record_option, write_result
from experiments.scores import NOTE, print_scores, scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, labels, and prints mIoU by method and distance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--output"):
        parser.add_argument(name, required=True)
    parser.add_argument("--stills", action="append", default=[])
    parser.add_argument("--config", default="folder", help="name in configs/")
    record_option(parser)
    parsed, options = parser.parse_known_args(arguments)
    for word in options:
        if not word.startswith("--config."):
            parser.error(f"{word} is unknown")
    run, out = Path(parsed.output) / "run", Path(parsed.output) / "out"
    common = [
        f"--config={parsed.config}", f"--data={parsed.data}", f"--windows={parsed.windows}",
        f"--workdir={run}", *options,
    ]  # fmt: skip
    stills = [f"--stills={spec}" for spec in parsed.stills]
    for words in (["train.py", *stills], ["propagate.py", "--method=all", f"--output={out}"]):
        subprocess.run([sys.executable, str(ROOT / words[0]), *common, *words[1:]], check=True)
    found = scores(out)
    print_scores(found)
    if parsed.record:
        trained = json.loads((run / "config.json").read_text())
        write_result(parsed.record, found, seeds=[trained["seed"]], note=NOTE)


if __name__ == "__main__":
    main()
