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
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data import images, label_maps
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_pictures import read_label
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.export import write_folder
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.evaluation.confusion import confusion, iou
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.regular import MAX_BYTES, read_bytes
from wrp_jax.labelling.files import OutputFiles
from wrp_jax.labelling.judge import judge, judged
from wrp_jax.labelling.plan import Plan, WindowJob, make_plan
from wrp_jax.labelling.relabelled import WindowLabels
from wrp_jax.labelling.request import Request
from wrp_jax.labelling.watch import Watch
from wrp_jax.labelling.window_result import WindowResult
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.quality.calibration import score
from wrp_jax.quality.estimate import Weights, class_errors, estimate
from wrp_jax.quality.evidence import SIGNS
from wrp_jax.runs.networks import Networks
from wrp_jax.simulation.clip import redraw_boundaries
from wrp_jax.types import Clip

JITTER = 1.5
"""Of the annotators of ``streets``, pixels; as in simulated clips."""
NOTE = (
    "Spearman of estimates and baselines with the true mIoU per frame; off: mean absolute error of "
    "estimates in percentage points of mIoU; held: % of the frames in their 90 % interval; "
    "calibration_error: expected calibration error of the pixels' confidence in %"
)


@dataclasses.dataclass(frozen=True)
class Frame:
    """A labelled frame with its truth.

    Attributes:
      evidence: of ``quality.evidence``.
      known: classes of the labelled frames.
      iou: true IoU by class, 0 … 1; NaN where there is no true pixel.
      distance: to the nearest labelled frame.
      confidence: mean over the frame.
      reliability: of its pixels, ``sums`` of ``evaluation.reliability``.
      told: mIoU and the ends of its interval, in %, as ``quality.csv`` has them.
    """

    evidence: np.ndarray
    known: np.ndarray
    iou: np.ndarray
    distance: int
    confidence: float
    reliability: np.ndarray
    told: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class LabelledSet:
    """An output and its truth.

    Attributes:
      name: of the set.
      plan: that the output was made by.
    """

    name: str
    plan: Plan

    def frames(self, methods: Sequence[str]) -> dict[str, list[Frame]]:
        """By method all frames that it has labelled and that have a true label.

        The evidence is collected once more, from the pictures of labels and confidence: an output
        of any version will do. Labelled frames that a run leaves out play no part.
        """
        plan, results = self.plan, {}
        networks = Networks(build_motion(plan.config.motion), None, None, "")
        with tempfile.TemporaryDirectory() as scratch:
            for job in plan.jobs:
                results[job.number] = self._result(job, networks, methods, Path(scratch))
        return {method: self._of_method(method, results) for method in methods}

    def _result(
        self, job: WindowJob, networks: Networks, methods: Sequence[str], scratch: Path
    ) -> WindowResult:
        source, sequence, names = self.plan.source, job.window.sequence, job.names
        known = KnownLabels(source, self.plan.windows)
        keys = [Keyframe(i, known.label(sequence, names[i])) for i in job.keys]
        clip = Clip(len(names), lambda i: source.frame(sequence, names[i]), sequence, names)
        with (
            networks.open_window(clip, keys, source.classes, scratch, job.window.reach) as window,
            Watch(window, job.owned, methods) as watch,
        ):
            for method in methods:
                for i in watch.frames:
                    labels, sure = self._read(method, sequence, names[i])
                    watch.see(method, FramePrediction(i, labels, sure))
            watch.finish()
        there = np.isin(np.arange(source.classes.num_classes), [key.label for key in keys])
        made_from = WindowLabels(sequence, {})
        return WindowResult("", made_from, "", known=there, evidence=watch.evidence)

    def _read(self, method: str, sequence: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        plan = self.plan
        writer = OutputFiles(plan).writers[method]
        path, grey = writer.label_path(sequence, name), writer.confidence_path(sequence, name)
        labels = read_label(read_bytes(path, MAX_BYTES), plan.source.classes, path)
        sure = images.decode_label(read_bytes(grey, MAX_BYTES), grey).pixels
        return labels, sure.astype(np.float32) / 255.0

    def _of_method(self, method: str, results: Mapping[int, WindowResult]) -> list[Frame]:
        plan, truth = self.plan, GroundTruth(self.plan.source)
        told = {(r.sequence, r.frame): r for r in judge(plan, results, method)}
        classes, found = plan.source.classes, []
        for job, i in plan.written():
            if i not in job.scored:
                continue
            sequence, name = job.window.sequence, job.names[i]
            places = [j for j in job.owned if j not in job.keys]
            labels, sure = self._read(method, sequence, name)
            true = truth.label(sequence, name)
            matrix = confusion(true, labels, classes.num_classes)
            reliability = Reliability()
            reliability.add(sure, labels, true, ~np.asarray(classes.void))
            row, result = told[sequence, name], results[job.number]
            found.append(
                Frame(
                    result.evidence[method][places.index(i)],
                    result.known,
                    iou(matrix, classes.void),
                    row.distance,
                    float(sure.mean()),
                    reliability.sums,
                    (row.miou, row.miou_low, row.miou_high),
                )
            )
        return found


def read_set(text: str, config: Config, method: str) -> LabelledSet:
    """``NAME=DATA:WINDOWS:OUT``."""
    name, _, rest = text.partition("=")
    data, windows, output = rest.rsplit(":", 2)
    request = Request(data, Path(output), method, windows=windows or None)
    return LabelledSet(name, make_plan(config, request))


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
    reliability = Reliability()
    reliability.sums = np.sum([frame.reliability for frame in frames], axis=0)
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
        "calibration_error": 100 * reliability.expected_error,
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
        for method, frames in one.frames(judged(one.plan)).items():
            figures.setdefault(one.name, {})[method] = compare(frames)
            told = figures[one.name][method].items()
            print(
                one.name,
                method,
                *(f"{key}: {value:.2f}" for key, value in told),
                sep="  ",
            )
    if parsed.record:
        write_result(parsed.record, figures, command=parsed.command, note=NOTE)


def _prior(sets: Sequence[LabelledSet], method: str) -> None:
    frames = [frame for one in sets for frame in one.frames([method])[method]]
    void = np.asarray(sets[0].plan.source.classes.void)
    weights = fit_weights(frames, void)
    print(weights)
    print(quantiles_of_spreads(frames, void, weights))


if __name__ == "__main__":
    main()
