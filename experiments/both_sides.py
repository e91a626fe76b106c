"""Are frames between two labelled ones better labelled from both of them than from the nearer?

python -m experiments.both_sides D KEYS NAME=OUTPUT ... [--record=NAME] [--command=TEXT]

``D`` is a folder of video with true labels, ``KEYS`` the list of labelled frames, and each
``OUTPUT`` one of ``propagate.py --keyframes=KEYS``: ``nearest`` and ``both`` with
``--config.propagation.sides`` of that name, ``flow-voting`` with that method. Frames between two
labelled ones are scored by their distance to the nearer. In the middle of a gap the label comes
from the other side: the share of pixels that change there is compared with the truth's own.

Finding: results/both_sides_*.json; motion alone gains on CamVid and Chen and not on DAVIS, where
its seam stays.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.data.label_pictures import read_label
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import read_keyframes
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.files.regular import MAX_BYTES, read_bytes

NOTE = (
    "mIoU in % of the frames between two labelled ones, by distance to the nearer; flips: % of "
    "the pixels that change in the middle of a gap"
)


def gaps(source: VideoSource, keys: Sequence[tuple[str, str]]) -> list[tuple[str, int, int]]:
    """``(sequence, place of a labelled frame, place of the next)``."""
    places: dict[str, list[int]] = {}
    for sequence, name in keys:
        places.setdefault(sequence, []).append(source.frame_names(sequence).index(name))
    return [(s, a, b) for s, own in places.items() for a, b in itertools.pairwise(sorted(own))]


def compare(
    source: VideoSource, keys: Sequence[tuple[str, str]], outputs: Mapping[str, Path]
) -> dict[str, Any]:
    """Scores outputs on the frames between labelled ones.

    Args:
      source: the video, with its true labels.
      keys: the labelled frames.
      outputs: folders of ``propagate.py``, by name.

    Returns:
      By name mIoU by distance, ``mean`` and ``flips``; of ``truth`` its flips alone.
    """

    def said(output: Path, sequence: str, name: str) -> np.ndarray:
        path = output / sequence / "labels" / f"{name}.png"
        return read_label(read_bytes(path, MAX_BYTES), source.classes, path)

    evaluator = Evaluator(source.classes)
    changed: dict[str, list[float]] = {"truth": [], **{name: [] for name in outputs}}
    for sequence, left, right in gaps(source, keys):
        names, middle = source.frame_names(sequence), (left + right) // 2
        for i in range(left + 1, right):
            truth = source.label(sequence, names[i])
            for method, output in outputs.items():
                labels = said(output, sequence, names[i])
                evaluator.add(method, min(i - left, right - i), truth, labels)
        pair = names[middle : middle + 2]
        here = {"truth": [source.label(sequence, name) for name in pair]}
        here |= {m: [said(o, sequence, name) for name in pair] for m, o in outputs.items()}
        for method, (one, two) in here.items():
            changed[method].append(100 * float(np.mean(one != two)))
    metrics = evaluator.metrics()
    found = {m: {**metrics[m]["miou"], "mean": metrics[m]["mean"]} for m in outputs}
    return {
        name: {**found.get(name, {}), "flips": float(np.mean(values))}
        for name, values in changed.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("keys", type=Path)
    parser.add_argument("outputs", nargs="+", metavar="NAME=OUTPUT")
    parser.add_argument("--command", help="what made the outputs")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    source = open_source(parsed.data)
    keys = read_keyframes(parsed.keys, source)
    pairs = (named.partition("=") for named in parsed.outputs)
    found = compare(source, keys, {name: Path(output) for name, _, output in pairs})
    for name, values in found.items():
        print(f"{name:12s}", *(f"{key}: {value:.2f}" for key, value in values.items()), sep="  ")
    if parsed.record:
        write_result(parsed.record, found, seeds=[0], command=parsed.command, note=NOTE)


if __name__ == "__main__":
    main()
