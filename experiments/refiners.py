"""Which refiner labels best, on one trained segmentation? ``python -m experiments.refiners``.

python -m experiments.refiners --data=D --windows=FILE [--stills=ROOT:SPLITFILE] --trained=RUN
    --output=OUT CELL...

``RUN`` is a workdir of ``train.py`` with a finished segmentation stage. A ``CELL`` is a list
``key=value,...`` of options of ``config.refiner`` and ``config.propagation`` and ``seed``, such as
``name=pix2pix,source=cycle,recursive=true,seed=1``; all others keep their defaults, and ``-`` is
the defaults alone. Each labels into ``OUT/CELL/out``, and is trained in ``OUT/CELL/run`` unless
that has been done (``recursive`` plays no part in training and is left out of that name). One
line of mIoU per cell, with the CPU seconds of this run.

Finding: the chooser trained on simulated clips is above warp-inpaint on CamVid and Chen; the
paper's refiner is level with it on CamVid and below it on Chen (results/refiners_*.json).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.record import record_option, write_result
from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import choose_windows
from wrp_jax.labelling.request import Request
from wrp_jax.training.refiner.stage import train_refiner
from wrp_jax.types import Window

METHOD = "warp-refine"


def cell_config(cell: str) -> Config:
    """The default options with those of a cell.

    Raises:
      ValueError: an option that there is not, or a value of another type.
    """
    config = Config()
    for item in filter(None, cell.strip("-").split(",")):
        key, _, value = item.partition("=")
        groups = [g for g in (config.refiner, config.propagation) if hasattr(g, key)]
        group = config if key == "seed" else groups[0] if groups else None
        if group is None:
            raise ValueError(f"{cell}: there is no option {key}")
        kind = type(getattr(group, key))
        if kind is bool and value not in ("true", "false"):
            raise ValueError(f"{cell}: {key} is true or false")
        setattr(group, key, value == "true" if kind is bool else kind(value))
    return config


def measure(cell: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Trains a cell and labels with it.

    Returns:
      mIoU by distance and ``mean``, as in ``metrics.json``; ``cpu`` in seconds.
    """
    config, folder = cell_config(cell), Path(arguments.output)
    training = ",".join(item for item in cell.split(",") if not item.startswith("recursive"))
    run, out = folder / (training or "-") / "run", folder / cell / "out"
    source = open_source(arguments.data)
    windows = choose_windows(
        source, windows=arguments.windows, keyframes=None, key_every=0, horizon=10
    )
    known = KnownLabels(source, windows, [parse_stills(spec) for spec in arguments.stills])
    start = time.process_time()
    train_on(Path(arguments.trained), run, config, known, source, windows)
    trained = time.process_time()
    if not (out / "metrics.json").exists():
        request = Request(arguments.data, out, arguments.method, windows=arguments.windows)
        propagate(config, request, workdir=run)
    scores = json.loads((out / "metrics.json").read_text())["methods"][METHOD]
    spent = {"cpu training": trained - start, "cpu labelling": time.process_time() - trained}
    return {**scores["miou"], "mean": scores["mean"], "+void": scores["mean_with_void"], **spent}


def train_on(
    trained: Path,
    run: Path,
    config: Config,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
) -> None:
    """Trains a refiner on the segmentation of another run, unless that has been done.

    Args:
      trained: workdir with a finished segmentation stage.
      run: workdir of the refiner.
      config: of the refiner.
      known: the labelled frames that the segmentation was trained on.
      source: of the video.
      windows: around the labelled frames.
    """
    if (run / "refiner.npz").exists():
        return
    run.mkdir(parents=True, exist_ok=True)
    for name in ("segmentation.npz", "labels.json"):
        shutil.copy(trained / name, run / name)
    train_refiner(config, known, source, windows, run)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the cells one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--windows", "--trained", "--output"):
        parser.add_argument(name, required=True)
    parser.add_argument("--stills", action="append", default=[])
    parser.add_argument("--method", default=METHOD, help=f"{METHOD} or all")
    parser.add_argument("cells", nargs="+")
    record_option(parser)
    parsed = parser.parse_args(arguments)
    found = {}
    for cell in parsed.cells:
        scores = measure(cell, parsed)
        print(cell, *(f"{k}: {v:.1f}" for k, v in scores.items()), sep="  ", flush=True)
        found[cell] = scores
    if parsed.record:
        seeds = sorted({cell_config(cell).seed for cell in parsed.cells})
        note = "mIoU in %, by frames from the labelled one; seconds of processor time"
        write_result(parsed.record, found, seeds=seeds, note=note)


if __name__ == "__main__":
    main()
