"""Does the estimated quality of a frame tell its true one, and better than simpler signs do?

python -m experiments.quality SET... [--record=NAME] [--command=TEXT] [--config=folder]

``SET`` is ``NAME=DATA:WINDOWS:OUT``: a folder of video whose frames all have true labels, the list
of windows that ``propagate.py`` was given (or none), and what it wrote, with ``configs/folder.py``
or the ``--config`` given here. Printed is, per set and method, how well estimates and baselines
order frames by their true mIoU (Spearman), how far estimates are off, what share of the frames lies
in its 90 % interval, how many errors lie among the least sure pixels, and what labels at the ends
of windows would do for intervals and confidence.

Finding: results/quality.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.baselines import expected_error, perceptual_consistency, removed
from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data import images
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.label_pictures import read_label
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
from wrp_jax.propagation.confidence import by_confidence, isotonic
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.quality.calibration import COVERAGE, calibrate, score
from wrp_jax.quality.estimate import estimate
from wrp_jax.quality.evidence import SIGNS
from wrp_jax.quality.prior import Prior, prior_of
from wrp_jax.runs.networks import Networks
from wrp_jax.types import Clip

NOTE = (
    "Spearman of estimates and baselines with the true mIoU per frame; off: mean absolute error of "
    "estimates in percentage points of mIoU; held: % of the frames in their 90 % interval; "
    "calibration_error: expected calibration error of the pixels' confidence in %; removed: % of "
    "the errors in the 5 % least sure pixels, removed_perfect: at most; left_out: frames at the "
    "ends of windows, with whose labels off, held and calibration_error are those of the others; "
    "held_others: with intervals from the true labels of the other sets, the residuals as today; "
    "held_distance: by groups of the distance; held_error: scaled by the estimated error"
)
_GROUPS = (0, 3, 6)
"""Distances above which groups of frames begin."""


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
      pixels: of ``propagation.confidence.by_confidence``.
      perceptual: its perceptual consistency with the labelled frame.
      told: mIoU and the ends of its interval, in %, as ``quality.csv`` has them.
    """

    evidence: np.ndarray
    known: np.ndarray
    iou: np.ndarray
    distance: int
    confidence: float
    reliability: np.ndarray
    pixels: np.ndarray
    perceptual: float
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
            key = job.names[job.nearest(i)]
            pictures = plan.source.frame(sequence, name), plan.source.frame(sequence, key)
            consistency = perceptual_consistency(
                pictures[0], labels, pictures[1], truth.label(sequence, key), classes.num_classes
            )
            found.append(
                Frame(
                    result.evidence[method][places.index(i)],
                    result.known,
                    iou(matrix, classes.void),
                    row.distance,
                    float(sure.mean()),
                    reliability.sums,
                    by_confidence(sure, labels, true, ~np.asarray(classes.void)),
                    consistency,
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


def compare(frames: Sequence[Frame], void: np.ndarray, prior: Prior) -> dict[str, float]:
    """Estimates and baselines against the truth.

    Args:
      frames: of one method.
      void: of the class map.
      prior: of the method.
    """
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
        "perceptual": spearman([frame.perceptual for frame in frames], true),
        "off": float(np.abs(told[:, 0] - true).mean()),
        "held": float(100 * ((told[:, 1] <= true) & (true <= told[:, 2])).mean()),
        "calibration_error": 100 * reliability.expected_error,
        **_flags(frames),
        **_with_left_out(frames, void, prior),
    }


def _flags(frames: Sequence[Frame]) -> dict[str, float]:
    found, perfect = removed(np.sum([frame.pixels for frame in frames], axis=0))
    return {"removed": 100 * found, "removed_perfect": 100 * perfect}


def _with_left_out(frames: Sequence[Frame], void: np.ndarray, prior: Prior) -> dict[str, float]:
    """Intervals and confidence of the other frames, once the ends of windows are known.

    A labelled frame at either end is what a run with labels every so many frames would leave out:
    it moves the level and the intervals, and confidence is mapped by isotonic regression.
    """
    far = max(frame.distance for frame in frames)
    ends = [frame for frame in frames if frame.distance == far]
    others = [frame for frame in frames if frame.distance < far]
    said = {
        id(frame): estimate(frame.evidence, frame.known, void, prior.weights) for frame in frames
    }
    true = {id(frame): float(np.nanmean(frame.iou)) for frame in frames}
    scores = [score(true[id(f)], said[id(f)].miou) for f in ends]
    calibration = calibrate(scores, [said[id(f)].classes for f in ends], prior.spreads)
    held, off = [], []
    for frame in others:
        found = said[id(frame)]
        told, low, high = calibration(found.miou, found.classes)
        held.append(low <= true[id(frame)] <= high)
        off.append(abs(told - true[id(frame)]))
    known, rest = (np.sum([f.pixels for f in part], axis=0) for part in (ends, others))
    return {
        "left_out": len(ends),
        "off_left_out": 100 * float(np.mean(off)),
        "held_left_out": 100 * float(np.mean(held)),
        "calibration_error_left_out": 100 * expected_error(rest, isotonic(known)),
    }


def with_other_sets(
    sets: Mapping[str, Mapping[str, Sequence[Frame]]], voids: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, float]]]:
    """By set and method % of the frames in intervals that come from the true labels of all others.

    No run has these labels. It shows what a prior from real video could do at best, with the
    residuals as they are, by distance (Mondrian conformal prediction), and normalised by the
    estimated error.
    """
    rows = {
        (name, method): _residuals(frames, voids[name], prior_of(method))
        for name, methods in sets.items()
        for method, frames in methods.items()
    }
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in sets}
    for (name, method), own in rows.items():
        others = [row for (other, _), row in rows.items() if other != name]
        if not others:
            continue
        rest = np.concatenate(others)
        both = own, rest
        plain = [np.sqrt(rows[:, 1]) * rows[:, 0] for rows in both]
        groups = [np.digitize(rows[:, 3], _GROUPS, right=True) for rows in both]
        normed = [x * np.sqrt(rows[:, 2]) for x, rows in zip(plain, both, strict=True)]
        by_distance = [
            _held(*(x[group == number] for x, group in zip(plain, groups, strict=True)))
            for number in np.unique(groups[0])
        ]
        found[name][method] = {
            "held_others": 100 * float(_held(*plain).mean()),
            "held_distance": 100 * float(np.concatenate(by_distance).mean()),
            "held_error": 100 * float(_held(*normed).mean()),
        }
    return found


def _residuals(frames: Sequence[Frame], void: np.ndarray, prior: Prior) -> np.ndarray:
    """Of each frame its score, its classes, its estimated error, and its distance."""
    rows = []
    for frame in frames:
        said = estimate(frame.evidence, frame.known, void, prior.weights)
        true = float(np.nanmean(frame.iou))
        rows.append((score(true, said.miou), said.classes, 1.0 - said.miou, frame.distance))
    return np.array(rows)


def _held(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(others, [tail, 1.0 - tail])
    return (low <= own) & (own <= high)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per set and method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--command", help="what made the outputs")
    parser.add_argument("--config", default="folder", help="of configs/")
    parser.add_argument("--method", default="all", help="that the outputs were made with")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    config = importlib.import_module(f"configs.{parsed.config}").get_config()
    sets: dict[str, dict[str, list[Frame]]] = {}
    voids: dict[str, np.ndarray] = {}
    for text in parsed.sets:
        one = read_set(text, config, parsed.method)
        voids[one.name] = np.asarray(one.plan.source.classes.void)
        sets[one.name] = one.frames(judged(one.plan))
    figures: dict[str, dict[str, dict[str, float]]] = {}
    others = with_other_sets(sets, voids)
    for name, methods in sets.items():
        for method, frames in methods.items():
            told = compare(frames, voids[name], prior_of(method)) | others[name].get(method, {})
            figures.setdefault(name, {})[method] = told
            print(name, method, *(f"{key}: {x:.2f}" for key, x in told.items()), sep="  ")
    if parsed.record:
        write_result(parsed.record, figures, command=parsed.command, note=NOTE)


if __name__ == "__main__":
    main()
