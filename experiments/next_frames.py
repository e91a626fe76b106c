"""Do the frames that ``wrp next`` names help more than others, for the same number of labels?

python -m experiments.next_frames D SEQUENCE... --workdir=W [--budgets=2,4,8] [--record=NAME]

``D`` is a folder of video whose frames all have true labels. A person is simulated, sequence by
sequence: the label of the middle frame is given first; then further frames are labelled by each
strategy, up to each of the budgets, and motion-only carries their labels over the whole sequence
again. ``next`` asks for what is missing to the next budget at once, as ``wrp next`` would answer
then; ``uniform`` spreads as many labels evenly; ``random`` draws them, the mean of three seeds.

Not measured on whole sets yet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.api.model import Model
from wrp_jax.config import Config
from wrp_jax.data.label_pictures import read_label
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.files.regular import MAX_BYTES, read_bytes
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.judge import judge
from wrp_jax.labelling.plan import claim, make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.run import label_windows
from wrp_jax.quality.next_frames import next_frames
from wrp_jax.quality.table import FrameQuality

METHOD = "motion-only"
SEEDS = (0, 1, 2)
NOTE = "mIoU in % over all frames of a sequence, labelled ones included, by number of labels"


class Annotator:
    """Labels frames of a sequence, and propagates.

    Attributes:
      names: of its frames.
    """

    def __init__(self, data: str, source: VideoSource, sequence: str, workdir: Path):
        """Writes nothing yet."""
        self._data, self._source, self._sequence, self._workdir = data, source, sequence, workdir
        self.names = source.frame_names(sequence)

    def label(self, places: Sequence[int]) -> tuple[float, list[FrameQuality]]:
        """Propagates from the labels at some places.

        Returns:
          The true mIoU of the whole sequence in %, and what ``quality.csv`` would hold.
        """
        chosen, source = sorted(set(places)), self._source
        folder = self._workdir / self._sequence / "_".join(map(str, chosen))
        folder.mkdir(parents=True, exist_ok=True)
        keys = folder / "keys.txt"
        keys.write_text("".join(f"{self._sequence} {self.names[i]}\n" for i in chosen))
        config, reach = Config(), len(self.names)
        request = Request(self._data, folder / "out", METHOD, keyframes=str(keys), horizon=reach)
        plan = make_plan(config, request)
        model = Model(config, source.classes)
        networks = model.networks(plan.methods, source, [job.window for job in plan.jobs])
        (folder / "out").mkdir(exist_ok=True)
        claim(plan, networks.digest)
        results = label_windows(plan, networks)
        writer, count = OutputFiles(plan).writers[METHOD], source.classes.num_classes
        total = np.zeros((count, count + 1), np.int64)
        for name in self.names:
            path = writer.label_path(self._sequence, name)
            said = read_label(read_bytes(path, MAX_BYTES), source.classes, path)
            total += confusion(source.label(self._sequence, name), said, count)
        return 100.0 * mean_iou(total, source.classes.void), judge(plan, results, METHOD)


def uniform(count: int, budget: int) -> list[int]:
    """Places of so many frames, spread evenly: the middles of equal parts."""
    return [int((2 * i + 1) * count / (2 * budget)) for i in range(budget)]


def simulate(annotator: Annotator, budgets: Sequence[int]) -> dict[str, dict[str, float]]:
    """By strategy mIoU by number of labels."""
    count = len(annotator.names)
    start = uniform(count, 1)
    first, rows = annotator.label(start)
    found = {name: {"1": first} for name in ("next", "uniform", "random")}
    chosen = list(start)
    for budget in budgets:
        picked = next_frames(rows, budget - len(chosen))
        chosen += [annotator.names.index(frame.frame) for frame in picked]
        found["next"][str(budget)], rows = annotator.label(chosen)
        found["uniform"][str(budget)] = annotator.label(uniform(count, budget))[0]
        others = [place for place in range(count) if place not in start]
        drawn = [
            np.random.default_rng(seed).choice(others, budget - 1, replace=False) for seed in SEEDS
        ]
        scores = [annotator.label([*start, *map(int, places)])[0] for places in drawn]
        found["random"][str(budget)] = float(np.mean(scores))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per sequence and strategy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("sequences", nargs="+")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--budgets", default="2,4,8")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    source = open_source(parsed.data)
    budgets = [int(text) for text in parsed.budgets.split(",")]
    figures = {}
    for sequence in parsed.sequences:
        annotator = Annotator(parsed.data, source, sequence, parsed.workdir)
        figures[sequence] = simulate(annotator, budgets)
        for name, scores in figures[sequence].items():
            print(sequence, name, *(f"{key}: {value:.1f}" for key, value in scores.items()))
    if parsed.record:
        write_result(parsed.record, figures, seeds=list(SEEDS), note=NOTE)


if __name__ == "__main__":
    main()
