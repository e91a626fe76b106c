"""Where are labels wrong? ``python -m experiments.errors --data=D --windows=FILE OUT...``.

``OUT`` is an output of ``propagate.py`` on the same data and windows. For every method in it, by
distance to the nearest class boundary of the truth: share of wrong pixels, share of all errors,
and mIoU, over all distances in time together; void truth is not scored.

Finding: most of warp-refine's wrong pixels lie next to a boundary, where the annotations of
neighbouring frames differ too (results/errors_*.json).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.data.images import decode_label
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import choose_windows, owners, window_frames
from wrp_jax.evaluation.boundary import EDGES, band_confusions
from wrp_jax.evaluation.confusion import mean_iou
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UNLABELLED, ClassMap, Window


def method_folders(out: Path) -> dict[str, Path]:
    """Where the labels of each method stand, the main method last."""
    main = json.loads((out / "metrics.json").read_text())["method"]
    others = {path.name: path for path in sorted((out / "methods").glob("*"))}
    return {**others, main: out}


def read_labels(folder: Path, classes: ClassMap, sequence: str, name: str) -> np.ndarray:
    """Class indices of a label that was written to one of ``method_folders``."""
    index_of = np.full(256, UNLABELLED)
    index_of[list(classes.ids)] = range(classes.num_classes)
    path = LabelWriter(folder, classes).label_path(sequence, name)
    return index_of[decode_label(read_bytes(path), path).pixels]


def scored_frames(source: VideoSource, windows: Sequence[Window]) -> Iterator[tuple[str, str]]:
    """Frames with a true label whose label was written from the window they are scored in."""
    truth, owner = GroundTruth(source), owners(windows, source)
    for window in windows:
        names = window_frames(window, source)
        for name in truth.scored(window.sequence, window.keys, names):
            if owner[window.sequence, name] == window:
                yield window.sequence, name


def count(source: VideoSource, windows: Sequence[Window], folder: Path) -> np.ndarray:
    """Confusion matrices per band, ``[bands, C, C + 1]``, summed over the scored frames."""
    classes, truth = source.classes, GroundTruth(source)
    total = np.zeros((len(EDGES) + 1, classes.num_classes, classes.num_classes + 1), np.int64)
    for sequence, name in scored_frames(source, windows):
        said = read_labels(folder, classes, sequence, name)
        total += band_confusions(truth.label(sequence, name), said, classes.num_classes)
    return total


def shares(bands: np.ndarray, void: Sequence[bool]) -> np.ndarray:
    """Share of the area, of wrong pixels, of all errors, and mIoU: ``[bands, 4]`` in %.

    Args:
      bands: of ``count``.
      void: per class; true void is left out.
    """
    scored = bands[:, ~np.asarray(void)]
    pixels = scored.sum((1, 2))
    right = np.diagonal(bands, axis1=1, axis2=2)[:, ~np.asarray(void)].sum(1)
    wrong = pixels - right
    table = [
        pixels / max(pixels.sum(), 1),
        wrong / np.maximum(pixels, 1),
        wrong / max(wrong.sum(), 1),
        [mean_iou(band, void) for band in bands],
    ]
    return 100.0 * np.stack(table, axis=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table per output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--windows", required=True)
    parser.add_argument("outputs", nargs="+")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    source = open_source(parsed.data)
    windows = choose_windows(
        source, windows=parsed.windows, keyframes=None, key_every=0, horizon=10
    )
    ends = [f"up to {edge:g} px" for edge in EDGES] + ["beyond"]
    print("in %: " + " | ".join(f"{end}: area, wrong, of all errors, mIoU" for end in ends))
    found: dict[str, dict[str, object]] = {}
    for out in map(Path, parsed.outputs):
        for method, folder in method_folders(out).items():
            bands = shares(count(source, windows, folder), source.classes.void)
            cells = (" ".join(f"{value:5.1f}" for value in band) for band in bands)
            wrong = (bands[:, 0] * bands[:, 1]).sum() / 100.0
            print(f"{out} {method}: {wrong:.2f} wrong | " + " | ".join(cells), flush=True)
            names = ("area", "wrong", "of all errors", "miou")
            rows = (dict(zip(names, map(float, band), strict=True)) for band in bands)
            key = method if len(parsed.outputs) == 1 else f"{out.parent.name} {method}"
            found[key] = {"wrong": wrong, **dict(zip(ends, rows, strict=True))}
    if parsed.record:
        write_result(parsed.record, found, note="in %, by distance from the nearest boundary")


if __name__ == "__main__":
    main()
