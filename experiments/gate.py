"""Can a gate choose better between the two sides of a gap than the mean of their posteriors?

python -m experiments.gate --workdir=W --set NAME D KEYS RUN [--set …] [--record=NAME]

``D`` is a folder of video with true labels, ``KEYS`` the list of labelled frames, ``RUN`` a workdir
of ``train.py``. What either labelled frame and g_ψ say of the frames between is kept in ``W``. Per
pixel a gate scores the classes that one of them says: each labelled frame by the same small
network, then the mean and the largest of what that gives, with g_ψ beside. It learns from the true
labels of all other sequences, far more than a user's own labelled frames are, and is tried on the
sequence that it has not seen.

Finding: experiments/notes/gate.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import read_frame
from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.labelling.plan import Plan, WindowJob, make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.propagation.chooser.agreement import reliability_of
from wrp_jax.propagation.chooser.hypotheses import compact
from wrp_jax.propagation.chooser.window import ChooserRefiner
from wrp_jax.propagation.fusion import side_weight
from wrp_jax.propagation.labelled_window import Keyframe
from wrp_jax.runs.networks import Networks, load_networks
from wrp_jax.types import UNLABELLED, ClassMap, Clip

NOTE = (
    "mIoU in % of the frames between two labelled ones, mean over the distances to the nearer; "
    "with void: void counted as a class; flips: % of the pixels that change in the middle of a gap"
)
_HIDDEN, _STEPS, _BATCH, _RATE = 24, 200, 2048, 3e-3
_PIXELS = 60_000  # of a gap that a gate learns from
_AT_ONCE = 1 << 16


class Gap(NamedTuple):
    """Frames between two labelled ones, and what is said of them.

    Attributes:
      name: of the sequence.
      probs: what either labelled frame says, the earlier first.
      segmentation: what g_ψ says.
      classes: class index of each column; -1: of none.
      reliability: recall and precision of g_ψ, of each column.
      truth: class indices.
      void: by class index.
    """

    name: str
    probs: np.ndarray  # float16 [2, n, h, w, c]
    segmentation: np.ndarray  # float16 [n, h, w, c]
    classes: np.ndarray  # int32 [c]
    reliability: np.ndarray  # float32 [c, 2]
    truth: np.ndarray  # int32 [n, h, w]
    void: np.ndarray  # bool [classes]

    @property
    def distances(self) -> np.ndarray:
        """Frames from the earlier and from the later labelled frame, ``[2, n]``."""
        first = np.arange(1, len(self.truth) + 1)
        return np.stack([first, first[::-1]])

    def labels(self, columns: np.ndarray) -> np.ndarray:
        """Class indices; of a column that stands for none the void class."""
        labels = self.classes[columns].astype(np.int32)
        labels[labels < 0] = self.void.argmax() if self.void.any() else UNLABELLED
        return labels

    def never_void(self, probs: np.ndarray) -> np.ndarray:
        """The likeliest column that is not void; where none is said at all, what g_ψ says."""
        barred = np.append(self.void, True)[self.classes]
        return np.where(barred, -1, probs + np.float32(1e-3) * self.segmentation).argmax(-1)

    @property
    def mean(self) -> np.ndarray:
        """The mean of both posteriors as ``propagation.fusion`` weighs them."""
        weights = [[side_weight(d, None, 0.95) for d in ds] for ds in self.distances.tolist()]
        shares = np.array(weights, np.float32) / np.sum(weights, axis=0)
        return np.einsum("sn,snhwc->nhwc", shares, self.probs.astype(np.float32))

    @property
    def nearest(self) -> np.ndarray:
        """The posterior of the nearer labelled frame."""
        side = np.argmin(self.distances, axis=0)
        return self.probs[side, np.arange(len(side))]


def gather(plan: Plan, networks: Networks, folder: Path) -> Iterator[Gap]:
    """What is said in every gap of a plan; read from the folder where it was kept before."""
    known, truth = KnownLabels(plan.source, plan.windows), GroundTruth(plan.source)
    folder.mkdir(parents=True, exist_ok=True)
    for job in plan.jobs:
        if len(job.keys) != 2 or len(job.scored) < len(job.names) - 2:
            continue
        path = folder / f"{job.window.sequence}_{job.names[0]}.npz"
        if not path.exists():
            said = _said(plan, networks, job, known, folder / "scratch")
            np.savez(path, allow_pickle=False, **said)
        with np.load(path) as kept:
            arrays = {name: kept[name] for name in kept.files}
        true = [truth.label(job.window.sequence, name) for name in job.names[1:-1]]
        void = np.array(plan.source.classes.void)
        yield Gap(job.window.sequence, **arrays, truth=np.stack(true), void=void)


def _said(
    plan: Plan, networks: Networks, job: WindowJob, known: KnownLabels, scratch: Path
) -> dict[str, np.ndarray]:
    sequence, names = job.window.sequence, job.names
    refiner = networks.refiner
    assert isinstance(refiner, ChooserRefiner)
    keys = [Keyframe(i, known.label(sequence, names[i])) for i in job.keys]
    clip = Clip(len(names), lambda i: read_frame(plan.source, sequence, names[i]), sequence, names)
    with networks.open_window(clip, keys, plan.source.classes, scratch, job.window.reach) as window:
        found, classes = {}, np.zeros(0, np.int32)
        for said in refiner.label(plan.config.propagation, window):
            if said.posterior is not None:
                found[said.key == keys[1].index, said.frame] = said.posterior.probs
                classes = said.posterior.classes
        between = range(1, len(names) - 1)
        own = window.cues.section(1, len(names) - 1).probs
        reliability = reliability_of(window.cues, keys, refiner.expected)
        return {
            "probs": np.stack([[found[side, i] for i in between] for side in (False, True)]),
            "segmentation": compact(own, classes).astype(np.float16),
            "classes": classes,
            "reliability": compact(reliability.T, classes).T,
        }


class Disputes(NamedTuple):
    """Pixels on which the two sides and g_ψ differ, and the classes that they say there.

    Attributes:
      place: frame, row and column of each.
      columns: what the earlier side, the later and g_ψ say, ``[p, 3]``.
      offered: False for what another one of them has said before.
      sides: what each labelled frame says of a class, ``[p, 3, 2, f]``.
      own: what g_ψ and the mean of both say of it, ``[p, 3, f]``; the last is the log of the mean.
      right: which one is true.
    """

    place: tuple[np.ndarray, ...]
    columns: np.ndarray
    offered: np.ndarray
    sides: np.ndarray
    own: np.ndarray
    right: np.ndarray


def disputes(gap: Gap) -> Disputes:
    """Where there is something to choose, and what a gate may know of it."""
    tops = np.stack([*gap.probs.argmax(-1), gap.segmentation.argmax(-1)])
    place = np.nonzero((tops != tops[0]).any(0))
    columns = np.moveaxis(tops[(slice(None), *place)], 0, -1)
    offered = np.ones(columns.shape, bool)
    offered[:, 1] = columns[:, 1] != columns[:, 0]
    offered[:, 2] = (columns[:, 2:] != columns[:, :2]).all(-1)

    def of(probs: np.ndarray) -> list[np.ndarray]:
        said = probs[place].astype(np.float32)
        here = np.take_along_axis(said, columns, -1)
        most = said.max(-1, keepdims=True)
        return [here, np.log(here + 1e-3), here == most, np.broadcast_to(most, here.shape)]

    sides = [
        np.stack([*of(probs), np.broadcast_to(away[place[0], None] / 10, columns.shape)], -1)
        for probs, away in zip(gap.probs, gap.distances, strict=True)
    ]
    recall, precision = np.moveaxis(gap.reliability[columns], -1, 0)
    mean = np.log(np.take_along_axis(gap.mean[place], columns, -1) + 1e-3)
    own = np.stack([*of(gap.segmentation), recall, precision, mean], -1)
    right = (gap.labels(columns) == gap.truth[place][:, None]) & offered
    return Disputes(
        place,
        columns,
        offered,
        np.stack(sides, 2).astype(np.float32),
        own.astype(np.float32),
        right,
    )


class Gate(NamedTuple):
    """A trained gate.

    Attributes:
      params: of ``_scores``.
      scales: mean and spread of ``Disputes.sides`` and ``own``.
    """

    params: Any
    scales: tuple[np.ndarray, ...]

    def choose(self, found: Disputes) -> np.ndarray:
        """The column of each pixel; half of the say has the mean of the posteriors."""
        parts = [np.zeros((0, 3), np.float32)]
        for start in range(0, len(found.sides), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            count = len(found.sides[part])
            arrays = (
                *_scaled(found.sides[part], found.own[part], self.scales),
                found.own[part, :, -1],
                found.offered[part],
            )
            padded = [
                np.pad(array, ((0, _AT_ONCE - count), *[(0, 0)] * (array.ndim - 1)))
                for array in arrays
            ]
            parts.append(np.asarray(_scores(self.params, *padded))[:count])
        mean = np.where(found.offered, found.own[..., -1], -1e9)
        shares = [np.asarray(jax.nn.softmax(s, axis=-1)) for s in (np.concatenate(parts), mean)]
        best = np.argmax(shares[0] + shares[1], axis=-1)
        return np.take_along_axis(found.columns, best[:, None], -1)[:, 0]


def _scaled(
    sides: np.ndarray, own: np.ndarray, scales: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    return (sides - scales[0]) / scales[1], (own - scales[2]) / scales[3]


@jax.jit
def _scores(params: Any, sides: Any, own: Any, mean: Any, offered: Any) -> Any:
    """Score of each class: a correction of the log of the mean posterior."""
    hidden = jax.nn.relu(jax.nn.relu(sides @ params["a"] + params["a0"]) @ params["b"])
    seen = jnp.concatenate([hidden.mean(2), hidden.max(2), own], -1)
    more = jax.nn.relu(seen @ params["c"] + params["c0"]) @ params["d"]
    return jnp.where(offered, mean + more[..., 0], -1e9)


def train(pairs: Sequence[tuple[Gap, Disputes]], *, void: bool, seed: int) -> Gate:
    """Trains a gate on pixels of which one of those that are heard is right.

    Args:
      pairs: gaps to learn from, with their disputes.
      void: whether it learns from pixels that are truly void; mIoU passes over them.
      seed: of every random choice.
    """
    rng, parts, weights = np.random.default_rng(seed), [], []
    for gap, found in pairs:
        true = gap.truth[found.place]
        known = found.right.any(1) & (void | ~np.append(gap.void, True)[true])
        chosen = rng.permutation(np.flatnonzero(known))[:_PIXELS]
        parts.append([a[chosen] for a in (found.sides, found.own, found.offered, found.right)])
        share = np.bincount(true[chosen], minlength=1) / max(len(chosen), 1)
        weights.append(share[true[chosen]] ** -0.5)
    sides, own, offered, right = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    weight, mean = np.concatenate(weights), own[..., -1]
    scales = (
        sides.mean((0, 1, 2)), sides.std((0, 1, 2)) + 1e-3,
        own.mean((0, 1)), own.std((0, 1)) + 1e-3,
    )  # fmt: skip
    sides, own = _scaled(sides, own, scales)
    sizes = {
        "a": (sides.shape[-1], _HIDDEN),
        "b": (_HIDDEN, _HIDDEN),
        "c": (2 * _HIDDEN + own.shape[-1], _HIDDEN),
        "d": (_HIDDEN, 1),
    }
    params = {k: (rng.normal(size=s) / np.sqrt(s[0])).astype(np.float32) for k, s in sizes.items()}
    params |= {"a0": np.zeros(_HIDDEN, np.float32), "c0": np.zeros(_HIDDEN, np.float32)}
    optimizer = optax.adamw(optax.linear_schedule(_RATE, 0.0, _STEPS), weight_decay=1e-3)

    @jax.jit
    def step(params: Any, state: Any, sides: Any, own: Any, *rest: Any) -> Any:
        mean, offered, right, weight = rest

        def loss(params: Any) -> Any:
            logs = jax.nn.log_softmax(_scores(params, sides, own, mean, offered), -1)
            return -jnp.sum(weight * jnp.sum(jnp.where(right, logs, 0), -1)) / jnp.sum(weight)

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(_STEPS):
        i = rng.integers(len(sides), size=_BATCH)
        batch = (sides[i], own[i], mean[i], offered[i], right[i], weight[i])
        params, state = step(params, state, *batch)
    return Gate(params, scales)


def compare(sets: Mapping[str, tuple[ClassMap, Sequence[Gap]]], seed: int = 0) -> dict[str, Any]:
    """Scores each set by the name of the choice; gates have learnt from all other sequences.

    Args:
      sets: classes and gaps by name.
      seed: of the gates.

    Returns:
      ``{SET: {CHOICE: {"mean", "with void", "flips"}}}``; of ``truth`` its flips alone.
    """
    every = {name: [(gap, disputes(gap)) for gap in gaps] for name, (_, gaps) in sets.items()}
    result: dict[str, Any] = {}
    for name, (classes, gaps) in sets.items():
        gates: dict[tuple[str, bool], Gate] = {}
        said: dict[str, list[np.ndarray]] = {}
        for gap, found in every[name]:
            labels = {
                "truth": gap.truth,
                "nearest": gap.labels(gap.nearest.argmax(-1)),
                "mean": gap.labels(gap.mean.argmax(-1)),
                "nearest, never void": gap.labels(gap.never_void(gap.nearest)),
                "mean, never void": gap.labels(gap.never_void(gap.mean)),
                "perfect choice of side": _perfect(gap),
            }
            for void, choice in ((True, "gate"), (False, "gate, void passed over")):
                if (gap.name, void) not in gates:
                    rest = [
                        pair for other, pairs in every.items() for pair in pairs
                        if (other, pair[0].name) != (name, gap.name)
                    ]  # fmt: skip
                    gates[gap.name, void] = train(rest, void=void, seed=seed)
                columns = gap.mean.argmax(-1)
                columns[found.place] = gates[gap.name, void].choose(found)
                labels[choice] = gap.labels(columns)
            for choice, label in labels.items():
                said.setdefault(choice, []).append(label)
        result[name] = {choice: _scores_of(classes, gaps, each) for choice, each in said.items()}
        result[name]["truth"] = {"flips": result[name]["truth"]["flips"]}
    return result


def _perfect(gap: Gap) -> np.ndarray:
    """Labels of whoever picks the side that is right, wherever one is."""
    best = gap.labels(gap.nearest.argmax(-1))
    for probs in gap.probs:
        side = gap.labels(probs.argmax(-1))
        best = np.where(side == gap.truth, side, best)
    return best


def _scores_of(
    classes: ClassMap, gaps: Sequence[Gap], said: Sequence[np.ndarray]
) -> dict[str, float]:
    evaluator, flips = Evaluator(classes), []
    for gap, labels in zip(gaps, said, strict=True):
        for i, distance in enumerate(gap.distances.min(0).tolist()):
            evaluator.add("", distance, gap.truth[i], labels[i])
        middle = (len(labels) - 1) // 2
        flips.append(100 * float(np.mean(labels[middle] != labels[middle + 1])))
    scores = evaluator.metrics()[""]
    return {
        "mean": scores["mean"],
        "with void": scores["mean_with_void"],
        "flips": float(np.mean(flips)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line per set and choice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument(
        "--set", nargs=4, action="append", required=True, metavar=("NAME", "D", "KEYS", "RUN")
    )
    parser.add_argument("--command", help="what is recorded as the command")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    sets = {}
    for name, data, keys, run in parsed.set:
        request = Request(data, parsed.workdir / "no output", "warp-refine", keyframes=keys)
        plan = make_plan(Config(), request)
        networks = load_networks(plan.config, plan.methods, plan.source, plan.around, Path(run))
        gaps = list(gather(plan, networks, parsed.workdir / name))
        sets[name] = plan.source.classes, gaps
    found = compare(sets)
    for name, choices in found.items():
        for choice, scores in choices.items():
            print(f"{name:8s} {choice:24s}", *(f"{k}: {v:.2f}" for k, v in scores.items()))
    if parsed.record:
        write_result(parsed.record, found, seeds=[0], command=parsed.command, note=NOTE)


if __name__ == "__main__":
    main()
