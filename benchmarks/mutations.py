"""Damages every file that is read: ``python -m benchmarks.mutations [--count 600]``.

What ``tests/test_hostile_files.py`` does, as figures: how many damaged files the readers were
given, and how many of them they refused. Any other error than one sentence, another value where
the format has sums, more than a second or 200 MiB ends it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from experiments.record import record_option, write_result


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="damaged files per reader")
    record_option(parser)
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from hostile import in_a_program

    figures = {}
    for kind in ("damaged", "flipped"):
        with tempfile.TemporaryDirectory() as folder:
            found = in_a_program("hostile_readers", kind, folder, given.count)
        figures[kind] = {
            "readers": len(found),
            "given": sum(given for given, _ in found.values()),
            "refused": sum(refused for _, refused in found.values()),
        }
    figures["all"] = {"given": sum(kind["given"] for kind in figures.values())}
    print(figures)
    if given.record:
        write_result(
            given.record,
            figures,
            seeds=range(figures["damaged"]["readers"]),
            note="Readers, damaged files that they were given, and those that they refused.",
        )


if __name__ == "__main__":
    main()
