"""Do the frames that ``wrp next`` names help more than others, for the same number of labels?

python -m experiments.next_frames NAME=SCALE@DATA[@SEQUENCE+SEQUENCE...]... --workdir=W
  [--budgets=2,4,8] [--oracle=NAME,NAME] [--record=NAME]

``DATA`` is video whose frames all have true labels (a folder, or ``synthetic:…``), taken at
``SCALE`` of its size. A person is simulated: the middle frame of each clip is labelled first, then
further frames by each strategy, up to each of the budgets, labels per clip on average; motion-only
carries their labels over the whole clips again. What counts is the mIoU of all frames of the set.

- ``next``: what is missing to the next budget is asked for at once, of all clips together, as
  ``wrp next`` answers then;
- ``uniform``: as many labels in each clip, the middles of equal parts;
- ``random``: as many in each clip, drawn with one seed;
- ``diversity``: as many in each clip, each time the frame that is least like all labelled ones, as
  XMem++ selects; frames are compared as pictures of 24 x 16 in CIE Lab;
- ``oracle``: greedily, of all clips together, the frame that raises the true mIoU most, of six
  places per clip spread evenly; up to the largest budget but one, and of the sets of ``--oracle``
  alone, for what it costs.

Every span between two labels is labelled once and kept in ``W`` (``spans.py``): the command goes on
where it was stopped. The sets of the document take less than ten minutes of processor time.

Finding: results/next_frames.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from experiments.record import record_option, write_result
from experiments.spans import METHOD, Smaller, Spans
from wrp_jax.data.open_source import open_source
from wrp_jax.evaluation.confusion import mean_iou
from wrp_jax.labelling.judge import judge
from wrp_jax.quality.next_frames import next_frames
from wrp_jax.quality.table import FrameQuality

SEEDS = (0,)
CANDIDATES = 6
"""Places of a clip that the oracle tries."""
_SMALL = 24, 16
Chosen = Mapping[str, Sequence[int]]
"""Places of the labelled frames by clip."""
NOTE = (
    "mIoU in % over all frames of a set, labelled ones included, by strategy and by labels per "
    "clip; mean: of the sets; fewer: % of the labels of uniform at the largest budget that next "
    "does without for the same mean mIoU"
)


class Annotator:
    """Labels frames of the clips of a set, and propagates.

    Attributes:
      names: of the frames of each clip.
    """

    def __init__(self, spans: Spans):
        """Labels nothing yet."""
        self._spans, source = spans, spans.source
        self.names = {sequence: source.frame_names(sequence) for sequence in source.sequences}
        self._matrices: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}

    def score(self, chosen: Chosen) -> float:
        """The true mIoU of the whole set in %."""
        total = sum(self._matrix(sequence, places) for sequence, places in chosen.items())
        return 100.0 * mean_iou(np.asarray(total), self._spans.source.classes.void)

    def table(self, chosen: Chosen) -> list[FrameQuality]:
        """What ``quality.csv`` would hold."""
        plan, results, _ = self._spans.label(chosen)
        return judge(plan, results, METHOD)

    def features(self, sequence: str) -> np.ndarray:
        """Small pictures of a clip's frames, a row each, CIE Lab."""
        rows = []
        for name in self.names[sequence]:
            frame = self._spans.source.frame(sequence, name).astype(np.float32) / 255.0
            small = np.asarray(cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA))
            rows.append(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB)).ravel())
        return np.stack(rows)

    def _matrix(self, sequence: str, places: Sequence[int]) -> np.ndarray:
        key = sequence, tuple(sorted(set(places)))
        if key not in self._matrices:
            self._matrices[key] = self._spans.label({sequence: key[1]})[2]
        return self._matrices[key]


def uniform(count: int, budget: int) -> list[int]:
    """Places of so many frames, spread evenly: the middles of equal parts."""
    return [int((2 * i + 1) * count / (2 * budget)) for i in range(budget)]


def diverse(features: np.ndarray, places: Sequence[int], budget: int) -> list[int]:
    """Adds the frames that are least like all chosen ones, up to a number of frames.

    Args:
      features: a row per frame.
      places: that are chosen already, at least one.
      budget: how many there are to be.
    """
    chosen = list(places)
    away = np.min([np.linalg.norm(features - features[p], axis=1) for p in chosen], axis=0)
    while len(chosen) < min(budget, len(features)):
        chosen.append(int(np.argmax(away)))
        away = np.minimum(away, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return chosen


def best_of(annotator: Annotator, start: Chosen, budgets: Sequence[int]) -> dict[str, float]:
    """Returns the mIoU of the oracle by budget."""
    chosen, found = {name: list(places) for name, places in start.items()}, {}
    for budget in budgets:
        while sum(map(len, chosen.values())) < budget * len(chosen):
            tries = [
                (annotator.score({**chosen, clip: [*chosen[clip], place]}), clip, place)
                for clip, names in annotator.names.items()
                for place in uniform(len(names), CANDIDATES)
                if place not in chosen[clip]
            ]
            if not tries:
                break
            _, clip, place = max(tries)
            chosen[clip].append(place)
        found[str(budget)] = annotator.score(chosen)
    return found


def asked(annotator: Annotator, start: Chosen, budgets: Sequence[int]) -> dict[str, float]:
    """Returns the mIoU by budget where a person labels what ``wrp next`` names."""
    chosen, found = {name: list(places) for name, places in start.items()}, {}
    for budget in budgets:
        missing = budget * len(chosen) - sum(map(len, chosen.values()))
        for frame in next_frames(annotator.table(chosen), missing):
            names = annotator.names[frame.sequence]
            chosen[frame.sequence].append(names.index(frame.frame))
        found[str(budget)] = annotator.score(chosen)
    return found


def simulate(
    annotator: Annotator,
    budgets: Sequence[int],
    tell: Callable[[str, dict[str, float]], None],
    *,
    oracle: bool = True,
) -> dict[str, dict[str, float]]:
    """Returns by strategy the mIoU by labels per clip."""
    clips = annotator.names
    start = {clip: uniform(len(names), 1) for clip, names in clips.items()}
    first = annotator.score(start)

    def spread(budget: int) -> float:
        return annotator.score({c: uniform(len(names), budget) for c, names in clips.items()})

    def differing(budget: int) -> float:
        pictures = {clip: annotator.features(clip) for clip in clips}
        return annotator.score({c: diverse(pictures[c], start[c], budget) for c in clips})

    def drawn(budget: int) -> float:
        scores = []
        for seed in SEEDS:
            rng, chosen = np.random.default_rng(seed), {}
            for clip, names in clips.items():
                others = [place for place in range(len(names)) if place not in start[clip]]
                more = rng.choice(others, min(budget, len(names)) - 1, replace=False)
                chosen[clip] = [*start[clip], *map(int, more)]
            scores.append(annotator.score(chosen))
        return float(np.mean(scores))

    found = {}
    strategies: dict[str, Callable[[], dict[str, float]]] = {
        "next": lambda: asked(annotator, start, budgets),
        "uniform": lambda: {str(b): spread(b) for b in budgets},
        "diversity": lambda: {str(b): differing(b) for b in budgets},
        "random": lambda: {str(b): drawn(b) for b in budgets},
    }
    if oracle:
        strategies["oracle"] = lambda: best_of(annotator, start, budgets[:-1])
    for name, run in strategies.items():
        found[name] = {"1": first, **run()}
        tell(name, found[name])
    return found


def summary(sets: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """The mean over the sets, and how many labels ``next`` saves.

    Args:
      sets: of ``simulate``, by name.
    """
    first = next(iter(sets.values()))
    mean = {
        strategy: {
            labels: float(np.mean([one[strategy][labels] for one in sets.values()]))
            for labels in scores
        }
        for strategy, scores in first.items()
        if all(strategy in one for one in sets.values())
    }
    labels = sorted(map(int, mean["next"]))
    reached = [mean["next"][str(n)] for n in labels]
    needed = np.interp(mean["uniform"][str(labels[-1])], reached, labels)
    return {**sets, "mean": mean, "fewer": 100.0 * (1.0 - float(needed) / labels[-1])}


def read_set(text: str) -> tuple[str, float, str, tuple[str, ...]]:
    """``NAME=SCALE@DATA[@SEQUENCE+SEQUENCE]``: its parts."""
    name, _, rest = text.partition("=")
    scale, data, *sequences = rest.split("@")
    return name, float(scale), data, tuple(sequences[0].split("+")) if sequences else ()


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per set and strategy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--budgets", default="2,4,8")
    parser.add_argument("--oracle", default="", help="names of sets")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    budgets = [int(text) for text in parsed.budgets.split(",")]
    figures: dict[str, Any] = {}
    for text in parsed.sets:
        name, scale, data, sequences = read_set(text)
        source = Smaller(open_source(data), scale, sequences)
        spans = Spans(source, parsed.workdir / name, f"{data} {scale:g}")

        def tell(strategy: str, scores: dict[str, float], name: str = name) -> None:
            told = (f"{labels}: {value:.1f}" for labels, value in scores.items())
            print(name, strategy, *told, flush=True)

        wanted = name in parsed.oracle.split(",")
        figures[name] = simulate(Annotator(spans), budgets, tell, oracle=wanted)
        print(name, f"{spans.seconds / 60:.1f} minutes of processor time", flush=True)
    told = summary(figures)
    print("mean", *(f"{n}: {scores}" for n, scores in told["mean"].items()), sep="\n")
    print(f"{told['fewer']:.0f} % fewer labels")
    if parsed.record:
        write_result(parsed.record, told, seeds=list(SEEDS), note=NOTE)


if __name__ == "__main__":
    main()
