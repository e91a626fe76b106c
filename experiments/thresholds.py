"""Does a τ that left-out labels choose do as well as fixed ones?

python -m experiments.thresholds NAME=DATA:RUN[:SEQUENCE+SEQUENCE...]... [--every=10] [--gaps=4]
  [--record=NAME]

``DATA`` is a folder of video whose frames all have true labels, ``RUN`` what ``train.py`` made of
other labels of it. Every tenth frame counts as labelled; of so many gaps between two of them,
spread over the sequences, warp-inpaint carries the label of one end to the other with each
candidate of τ. ``left out`` is its mIoU at the other end, by which ``wrp propagate
--config.propagation.tau=auto`` chooses; ``true`` that of the frames between.

Finding: results/thresholds.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from configs import folder
from experiments.record import record_option, write_result
from experiments.spans import Smaller
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.labelling.thresholds import FLAT, TAUS
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.methods import label_frames
from wrp_jax.runs.networks import Networks, load_networks
from wrp_jax.types import Clip, Window

METHOD = "warp-inpaint"
DEFAULT = 0.5
NOTE = (
    "mIoU in % by τ, where the label of one end of a gap is carried on: at the other end (left "
    "out) and in the frames between (true); chosen: true mIoU with the τ that left-out labels "
    "choose"
)


def gaps(source: VideoSource, every: int, count: int) -> list[Window]:
    """Some gaps between frames that lie so far apart, spread over the sequences."""
    found = []
    for sequence in source.sequences:
        names = source.frame_names(sequence)[every // 2 :: every]
        found += [Window(sequence, a, a, b) for a, b in itertools.pairwise(names)]
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, count).round().astype(int))]


def carry(
    source: VideoSource, networks: Networks, window: Window, taus: Sequence[float]
) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """By τ the confusion at the far end, and in the frames between."""
    sequence, names = window.sequence, source.frame_names(window.sequence)
    names = names[names.index(window.first) : names.index(window.last) + 1]
    clip = Clip(len(names), lambda i: source.frame(sequence, names[i]), sequence, names)
    begin, count = [Keyframe(0, source.label(sequence, names[0]))], source.classes.num_classes
    options, found = folder.get_config().propagation, {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        networks.open_window(clip, begin, source.classes, Path(scratch)) as opened,
    ):
        for tau in taus:
            end, between = np.zeros((2, count, count + 1), np.int64)
            for said in label_frames(METHOD, dataclasses.replace(options, tau=tau), opened):
                true = source.label(sequence, names[said.frame])
                if said.frame == len(names) - 1:
                    end += confusion(true, said.labels, count)
                elif said.frame:
                    between += confusion(true, said.labels, count)
            found[tau] = end, between
    return found


def summary(left_out: Mapping[float, float], true: Mapping[float, float]) -> dict[str, Any]:
    """Both curves, and what the choice is worth."""
    best = max(left_out, key=lambda tau: left_out[tau])
    tau = DEFAULT if left_out[best] - left_out[DEFAULT] < FLAT else best
    return {
        "left out": {f"{tau:g}": miou for tau, miou in left_out.items()},
        "true": {f"{tau:g}": miou for tau, miou in true.items()},
        "tau": tau,
        "chosen": true[tau],
        "default": true[DEFAULT],
        "best": max(true.values()),
        "worst": min(true.values()),
    }


class GapsOfSet(NamedTuple):
    """What an experiment on gaps between two labelled frames looks at.

    Attributes:
      name: of the set.
      source: its video.
      windows: the gaps.
      networks: that label them.
    """

    name: str
    source: VideoSource
    windows: list[Window]
    networks: Networks


def gaps_parser(description: str) -> argparse.ArgumentParser:
    """Takes sets as ``NAME=DATA:RUN[:SEQUENCE+SEQUENCE]``, and which gaps of them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--gaps", type=int, default=4)
    record_option(parser)
    return parser


def gaps_of_sets(parsed: argparse.Namespace, methods: Sequence[str]) -> Iterator[GapsOfSet]:
    """Opens one set after the other, with what the methods need."""
    for text in parsed.sets:
        name, _, rest = text.partition("=")
        data, run, *sequences = rest.split(":")
        source = Smaller(open_source(data), 1.0, sequences[0].split("+") if sequences else ())
        windows = gaps(source, parsed.every, parsed.gaps)
        networks = load_networks(folder.get_config(), methods, source, windows, Path(run))
        yield GapsOfSet(name, source, windows, networks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per set."""
    parsed = gaps_parser((__doc__ or "").partition("\n")[0]).parse_args(arguments)
    figures: dict[str, Any] = {}
    for name, source, windows, networks in gaps_of_sets(parsed, [METHOD]):
        found = [carry(source, networks, window, TAUS) for window in windows]
        void = source.classes.void
        curves = [
            {
                tau: 100 * mean_iou(np.sum([one[tau][i] for one in found], axis=0), void)
                for tau in TAUS
            }
            for i in (0, 1)
        ]
        figures[name] = summary(*curves)
        print(name, figures[name], flush=True)
    if parsed.record:
        write_result(parsed.record, figures, note=NOTE)


if __name__ == "__main__":
    main()
