"""Makes what ``wrp_jax/quality/prior.py`` holds: weights of the signs, and spreads.

python -m experiments.prior W [--clips=10]

Everything is of synthetic streets; no real video plays a part. Their labels are as by an annotator
of each frame's own: borders differ by up to a pixel and a half. Motion-only labels large clips.
Warp-inpaint and warp-refine label small ones, with the networks that ``configs/demo.py`` trains,
which have seen other streets. At the end stands what belongs into ``prior.py``. A run that was
stopped goes on where it was; ``W`` holds the clips and the labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from configs import demo, folder
from experiments.quality import Frame, LabelledSet
from wrp_jax.cli.propagate import propagate
from wrp_jax.data import images, label_maps
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.export import write_folder
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.quality.calibration import score
from wrp_jax.quality.estimate import Weights, class_errors, estimate
from wrp_jax.quality.evidence import SIGNS
from wrp_jax.simulation.clip import redraw_boundaries

JITTER = 1.5
"""Of the annotators, pixels; as in simulated clips."""
SEED = 500
LARGE, SMALL = (240, 352), (112, 192)
"""Height and width of the clips for motion-only and for the others."""


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


def label_streets(workdir: Path, method: str, clips: int) -> LabelledSet:
    """Labels streets by a method; what is there is kept."""
    large = method == "motion-only"
    data = workdir / ("large" if large else "small")
    if not (data / label_maps.CLASSES_FILE).exists():  # comes last
        write_streets(data, clips, SEED, *(LARGE if large else SMALL))
    networks = None
    if not large:
        request = Request(demo.get_config().data, workdir / "demo")
        propagate(demo.get_config(), request, workdir=None, train=True)
        networks = workdir / "demo" / "training"
    config = folder.get_config() if large else demo.get_config()
    windows = str(data / "splits" / "windows.txt")
    request = Request(str(data), workdir / method, method, windows=windows)
    propagate(config, request, workdir=networks)
    return LabelledSet(method, make_plan(config, request))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the weights of each method, and the spreads of motion-only."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--clips", type=int, default=10)
    parsed = parser.parse_args(arguments)
    for method in ("motion-only", "warp-inpaint", "warp-refine"):
        labelled = label_streets(parsed.workdir, method, parsed.clips)
        frames = labelled.frames([method])[method]
        void = np.asarray(labelled.plan.source.classes.void)
        weights = fit_weights(frames, void)
        told = ", ".join(f"{name}={w:.2f}" for name, w in weights._asdict().items())
        print(f'"{method}": Weights({told}),', flush=True)
        if method == "motion-only":
            spreads = quantiles_of_spreads(frames, void, weights)
            print("_SPREADS =", tuple(round(spread, 2) for spread in spreads), flush=True)


if __name__ == "__main__":
    main()
