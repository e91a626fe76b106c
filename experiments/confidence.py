"""Is the confidence of frames between two labelled ones what it says, before and after the map?

python -m experiments.confidence NAME=DATA:RUN[:SEQUENCE+SEQUENCE...]... [--every=10] [--gaps=4]
  [--record=NAME]

``DATA`` is a folder of video whose frames all have true labels, ``RUN`` what ``train.py`` made of
other labels of it. Every tenth frame counts as labelled; so many gaps between two of them, spread
over the sequences, are labelled from both ends as ``propagate.py`` does. The map comes from the two
labels that are left out in each gap, the figures from the frames between.

Finding: results/confidence.json.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from configs import folder
from experiments.record import write_result
from experiments.thresholds import gaps_of_sets, gaps_parser
from wrp_jax.data.source import VideoSource
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.methods import label_frames
from wrp_jax.runs.networks import Networks
from wrp_jax.types import Clip, Window

METHODS = "motion-only", "warp-inpaint", "warp-refine"
NOTE = (
    "expected calibration error in % of the frames between two labelled ones: stated, as the "
    "method has it; told, once it is mapped by the labels left out; right: % of the pixels"
)


def measure(
    source: VideoSource,
    networks: Networks,
    window: Window,
    found: dict[str, tuple[Reliability, Reliability]],
) -> None:
    """Adds the frames between the labelled ones of a window, by stated and by told confidence."""
    sequence, names = window.sequence, source.frame_names(window.sequence)
    names = names[names.index(window.first) : names.index(window.last) + 1]
    clip = Clip(len(names), lambda i: source.frame(sequence, names[i]), sequence, names)
    last, scored = len(names) - 1, ~np.asarray(source.classes.void)
    ends = [Keyframe(i, source.label(sequence, names[i])) for i in (0, last)]
    options = folder.get_config().propagation
    with (
        tempfile.TemporaryDirectory() as scratch,
        networks.open_window(
            clip, ends, source.classes, Path(scratch), leave_out=True
        ) as opened,
    ):  # fmt: skip
        for method, sums in found.items():
            for said in label_frames(method, options, opened, networks.refiner):
                if said.frame in (0, last):
                    continue
                true = source.label(sequence, names[said.frame])
                stated = said.confidence if said.stated is None else said.stated
                for reliability, sure in zip(sums, (stated, said.confidence), strict=True):
                    reliability.add(sure, said.labels, true, scored)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per set and method."""
    parsed = gaps_parser((__doc__ or "").partition("\n")[0]).parse_args(arguments)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, source, windows, networks in gaps_of_sets(parsed, METHODS):
        found = {method: (Reliability(), Reliability()) for method in METHODS}
        for number, window in enumerate(windows, 1):
            measure(source, networks, window, found)
            print(f"{name}: {number} of {len(windows)} gaps", flush=True)
        figures[name] = {
            method: {
                "stated": 100 * stated.expected_error,
                "told": 100 * told.expected_error,
                "right": 100 * told.accuracy,
            }
            for method, (stated, told) in found.items()
        }
        print(name, figures[name], flush=True)
    if parsed.record:
        write_result(parsed.record, figures, note=NOTE)


if __name__ == "__main__":
    main()
