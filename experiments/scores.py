"""How good are the labels of an output, by method and by distance from the labelled frame?

python -m experiments.scores OUT [--record=NAME] [--seed=0] [--command=TEXT]

``OUT`` is an output of ``propagate.py`` with truth to score against, such as ``demo_output``;
``--command`` is what made it, for the record. ``experiments.real_video`` trains, labels and scores.

Finding: results/demo.json and streets.json; warp-refine is ahead at every distance of both.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from experiments.record import record_option, write_result

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


def print_scores(found: dict[str, dict[str, float]]) -> None:
    """Prints a line per method."""
    for method, values in found.items():
        known = {key: value for key, value in values.items() if value is not None}
        print(f"{method:16s}", *(f"{key}: {value:.1f}" for key, value in known.items()), sep="  ")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints mIoU by method and distance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--command", help="what made the output")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    found = scores(parsed.output)
    print_scores(found)
    if parsed.record:
        write_result(parsed.record, found, seeds=[parsed.seed], command=parsed.command, note=NOTE)


if __name__ == "__main__":
    main()
