"""Does the estimated quality of a frame tell its true one, and better than simpler signs do?

python -m experiments.quality streets DEST [--clips=12] [--height=240] [--width=352] [--seed=500]
python -m experiments.quality prior METHOD SET...
python -m experiments.quality compare SET... [--record=NAME] [--command=TEXT]

``SET`` is ``NAME=DATA:WINDOWS:OUT``: a folder of video whose frames all have true labels, the list
of windows that ``propagate.py`` was given (or none), and what it wrote, with ``configs/folder.py``
or the ``--config`` given here. ``streets`` writes synthetic clips, each frame labelled as by an
annotator of its own: borders differ by up to a pixel and a half. ``prior`` fits what
``wrp_jax/quality/prior.py`` holds of a method. ``compare`` prints, per set and method, how well
estimates and baselines order frames by their true mIoU (Spearman), how far estimates are off, and
what share of the frames lies in its 90 % interval.

Finding: results/quality.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data import images, label_maps
from wrp_jax.data.label_pictures import read_label
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.export import write_folder
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.evaluation.confusion import confusion, iou
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.failures import Failures
from wrp_jax.files.regular import MAX_BYTES, read_bytes
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.judge import judge, judged
from wrp_jax.labelling.kept import KeptWindows
from wrp_jax.labelling.plan import Plan, make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.quality.calibration import score
from wrp_jax.quality.estimate import Weights, class_errors, estimate
from wrp_jax.quality.evidence import SIGNS
from wrp_jax.simulation.clip import redraw_boundaries

JITTER = 1.5
"""Of the annotators of ``streets``, pixels; as in simulated clips."""
NOTE = (
    "Spearman of estimates and baselines with the true mIoU per frame; off: mean absolute error of "
    "estimates in percentage points of mIoU; held: % of the frames in their 90 % interval"
)


@dataclasses.dataclass(frozen=True)
class Frame:
    """A labelled frame with its truth.

    Attributes:
      window: number of its window.
      evidence: of ``quality.evidence``.
      known: classes of the labelled frames.
      iou: true IoU by class, 0 … 1; NaN where there is no true pixel.
      distance: to the nearest labelled frame.
      confidence: mean over the frame.
      both_sides: whether it lies between two labelled frames.
      told: mIoU and the ends of its interval, in %, as ``quality.csv`` has them.
    """

    window: int
    evidence: np.ndarray
    known: np.ndarray
    iou: np.ndarray
    distance: int
    confidence: float
    both_sides: bool
    told: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class LabelledSet:
    """An output and its truth.

    Attributes:
      name: of the set.
      plan: that the output was made by.
      void: per class.
    """

    name: str
    plan: Plan
    void: np.ndarray

    def frames(self, method: str) -> list[Frame]:
        """All frames with a true label that a method has labelled."""
        plan = self.plan
        results = KeptWindows(plan, Failures(plan.output)).finished()
        if len(results) < len(plan.jobs):
            raise SystemExit(f"{plan.output} is not complete, or of other options than given here")
        truth, writer = GroundTruth(plan.source), OutputFiles(plan).writers[method]
        told = {(r.sequence, r.frame): r for r in judge(plan, results, method)}
        num_classes, found = plan.source.classes.num_classes, []
        for job, i in plan.written():
            if i in job.keys or i not in job.scored:
                continue
            sequence, name = job.window.sequence, job.names[i]
            places = [j for j in job.owned if j not in job.keys]
            path, grey = writer.label_path(sequence, name), writer.confidence_path(sequence, name)
            said = read_label(read_bytes(path, MAX_BYTES), plan.source.classes, path)
            sure = images.decode_label(read_bytes(grey), grey).pixels / 255.0
            matrix = confusion(truth.label(sequence, name), said, num_classes)
            row, result = told[sequence, name], results[job.number]
            found.append(
                Frame(
                    job.number,
                    result.evidence[method][places.index(i)],
                    result.known,
                    iou(matrix, plan.source.classes.void),
                    row.distance,
                    float(sure.mean()),
                    len(job.keys) == 2,
                    (row.miou, row.miou_low, row.miou_high),
                )
            )
        return found


def read_set(text: str, config: Config, method: str) -> LabelledSet:
    """``NAME=DATA:WINDOWS:OUT``."""
    name, _, rest = text.partition("=")
    data, windows, output = rest.rsplit(":", 2)
    plan = make_plan(config, Request(data, Path(output), method, windows=windows or None))
    return LabelledSet(name, plan, np.asarray(plan.source.classes.void))


def rank(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share their mean rank."""
    values = np.asarray(values, float)
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count + 1) / 2)[place]


def spearman(one: Sequence[float] | np.ndarray, two: Sequence[float] | np.ndarray) -> float:
    """Rank correlation, -1 … 1."""
    return float(np.corrcoef(rank(one), rank(two))[0, 1])


def fit_weights(frames: Sequence[Frame], void: np.ndarray, rounds: int = 20) -> Weights:
    """Weights of the signs, none below zero, by which estimated IoU of classes fits the true one.

    Gauss-Newton with a bound; classes of a frame share its weight, and large residuals count less.
    """
    parts, true, weight = [], [], []
    for frame in frames:
        keep = (frame.evidence[:, SIGNS.index("places")] > 0) & ~void & np.isfinite(frame.iou)
        rows = [
            class_errors(frame.evidence, Weights(*unit)) for unit in np.eye(len(Weights._fields))
        ]
        parts.append(np.stack(rows, axis=1)[keep])
        true.append(frame.iou[keep])
        weight.append(np.full(keep.sum(), 1.0 / max(keep.sum(), 1)))
    x, y, w = map(np.concatenate, (parts, true, weight))
    found = np.full(x.shape[1], 0.1)
    for _ in range(rounds):
        said = 1.0 / (1.0 + x @ found)
        slope = -(said**2)[:, None] * x
        counts = w / (1.0 + ((y - said) / 0.15) ** 2)
        normal = slope.T @ (counts[:, None] * slope) + 1e-9 * np.eye(len(found))
        aim = slope.T @ (counts * (y - said + slope @ found))
        new = found.copy()
        for _ in range(500):  # coordinate descent under the bound
            for j in range(len(new)):
                rest = aim[j] - normal[j] @ new + normal[j, j] * new[j]
                new[j] = max(0.0, rest / normal[j, j])
        found = 0.5 * (found + new)
    return Weights(*map(float, found))


def quantiles_of_spreads(
    frames: Sequence[Frame], void: np.ndarray, weights: Weights
) -> tuple[float, ...]:
    """Spreads at 5 %, 15 %, … 95 %."""
    spreads = []
    for frame in frames:
        said = estimate(frame.evidence, frame.known, void, weights)
        true = float(np.nanmean(frame.iou))
        spreads.append(score(true, said.miou) * said.classes**0.5)
    return tuple(float(q) for q in np.quantile(spreads, np.arange(0.05, 1.0, 0.1)))


def compare(frames: Sequence[Frame]) -> dict[str, float]:
    """Estimates and baselines against the truth."""
    true = np.array([100.0 * np.nanmean(frame.iou) for frame in frames])
    told = np.array([frame.told for frame in frames])
    colour = SIGNS.index("colour"), SIGNS.index("places")
    return {
        "frames": len(frames),
        "estimate": spearman(told[:, 0], true),
        "confidence": spearman([frame.confidence for frame in frames], true),
        "distance": spearman([-frame.distance for frame in frames], true),
        "photometric": spearman(
            [
                -frame.evidence[:, colour[0]].sum() / frame.evidence[:, colour[1]].sum()
                for frame in frames
            ],
            true,
        ),
        "off": float(np.abs(told[:, 0] - true).mean()),
        "held": float(100 * ((told[:, 1] <= true) & (true <= told[:, 2])).mean()),
    }


def write_streets(root: Path, clips: int, seed: int, height: int, width: int) -> None:
    """Synthetic clips as a folder; every label has borders of its own annotator."""
    config = SyntheticConfig(frames=21, height=height, width=width)
    source = SyntheticSource(config, clips, seed)
    write_folder(source, root)
    colors, rng = label_maps.palette(source.classes), np.random.default_rng(seed)
    for sequence in source.sequences:
        for k, name in enumerate(source.frame_names(sequence)):
            label = redraw_boundaries(rng, source.clip(sequence).labels[k].astype(np.int16), JITTER)
            ids = label_maps.indices_to_ids(label.astype(np.int32), source.classes)
            path = root / sequence / "labels" / f"{name}.png"
            path.write_bytes(images.encode_png(ids, colors))


def main(arguments: Sequence[str] | None = None) -> None:
    """Does what the first word says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    streets = commands.add_parser("streets")
    streets.add_argument("dest", type=Path)
    for name, value in (("clips", 12), ("seed", 500), ("height", 240), ("width", 352)):
        streets.add_argument(f"--{name}", type=int, default=value)
    prior = commands.add_parser("prior")
    prior.add_argument("method")
    prior.add_argument("sets", nargs="+")
    both = commands.add_parser("compare")
    both.add_argument("sets", nargs="+")
    both.add_argument("--command", help="what made the outputs")
    record_option(both)
    for command in (prior, both):
        command.add_argument("--config", default="folder", help="of configs/")
    both.add_argument("--method", default="all", help="that the outputs were made with")
    parsed = parser.parse_args(arguments)
    if parsed.what == "streets":
        write_streets(parsed.dest, parsed.clips, parsed.seed, parsed.height, parsed.width)
        return
    config = importlib.import_module(f"configs.{parsed.config}").get_config()
    if parsed.what == "prior":
        _prior([read_set(text, config, parsed.method) for text in parsed.sets], parsed.method)
        return
    figures: dict[str, Any] = {}
    for text in parsed.sets:
        one = read_set(text, config, parsed.method)
        for method in judged(one.plan):
            figures.setdefault(one.name, {})[method] = compare(one.frames(method))
            told = figures[one.name][method].items()
            print(one.name, method, *(f"{key}: {value:.2f}" for key, value in told), sep="  ")
    if parsed.record:
        write_result(parsed.record, figures, command=parsed.command, note=NOTE)


def _prior(sets: Sequence[LabelledSet], method: str) -> None:
    frames = [frame for one in sets for frame in one.frames(method)]
    void = sets[0].void
    weights = fit_weights(frames, void)
    print(weights)
    print(quantiles_of_spreads(frames, void, weights))


if __name__ == "__main__":
    main()
