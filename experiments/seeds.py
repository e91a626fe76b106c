"""How far do trainings with other seeds lie apart? Mean and spread over results that name them.

python -m experiments.seeds NAME=RESULT,RESULT,... [--record=seeds]

Each ``RESULT`` is a file of results/ that one seed of all that is trained has written, by
``experiments.real_video`` or ``experiments.both_sides``. Of each row's mean over the distances:
the value by seed, their mean, and their sample standard deviation.

Finding: results/seeds.json, experiments/notes/noise.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from experiments.record import RESULTS, record_option, write_result
from experiments.setting import statistics


def over_seeds(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """``statistics`` of the ``mean`` of every row that all results have.

    Args:
      results: as files of results/ hold them, of one seed each.

    Raises:
      ValueError: two of them are of the same seed, or one is of several.
    """
    by_seed = {}
    for result in results:
        (seed,) = result["seeds"]
        if seed in by_seed:
            raise ValueError(f"{result['name']} is of seed {seed}, as another result is")
        by_seed[seed] = result["figures"]
    first = next(iter(by_seed.values()))
    rows = [row for row in first if all("mean" in found.get(row, {}) for found in by_seed.values())]
    return {
        row: statistics({seed: found[row]["mean"] for seed, found in by_seed.items()})
        for row in rows
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the rows of every set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sets", nargs="+", metavar="NAME=RESULT,RESULT")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    found = {}
    for words in parsed.sets:
        name, _, files = words.partition("=")
        results = [json.loads((RESULTS / f"{file}.json").read_text()) for file in files.split(",")]
        found[name] = over_seeds(results)
        for row, values in found[name].items():
            print(f"{name}  {row:16s} {values['mean']:.2f} ± {values['sigma']:.2f}")
    if parsed.record:
        rows = [values for sets in found.values() for values in sets.values()]
        seeds = sorted({seed for values in rows for seed in values["miou"]})
        note = "mIoU in %, mean over the distances, by seed; sigma: sample standard deviation"
        write_result(parsed.record, found, seeds=seeds, note=note)


if __name__ == "__main__":
    main()
