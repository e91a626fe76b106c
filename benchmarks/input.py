"""What a student's crops cost against the step that takes them: ``python -m benchmarks.input``.

A folder of rendered streets is labelled by ``propagate`` and read as a student reads it: 30 % of
the crops from labelled frames, 70 % from propagated labels. Timed is the processor's time per crop:
to read and decode a frame with its label (each crop where the frames do not fit into memory), to
cut and change a crop of frames in memory, and the training step of the same network. ``through the
pipeline`` are crops per second of `make_batches` with its threads, by the clock.

``small`` is the light network, on 480x360 and with the other options of ``configs/folder.py``.
``published`` reads 2048x1024 by the published protocol; its step is that of an H200, taken from
results/segmentation_gpu.json as four times that of 512x1024.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.record import read_results, record_option, write_result
from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config, SegmentationConfig, published_protocol
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels, LabelledFrame
from wrp_jax.data.propagated.frames import propagated_frames
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.export import write_folder
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.data.windows import read_windows
from wrp_jax.labelling.request import Request
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.training.pipeline import make_batches
from wrp_jax.training.segmentation.crops import CropBatch, CropDataset, build_crop_dataset
from wrp_jax.training.segmentation.losses import class_weights
from wrp_jax.training.segmentation.recipe import make_loss, make_optimizer
from wrp_jax.training.segmentation.stage import make_train_step
from wrp_jax.training.state import create_train_state

SETTINGS: dict[str, tuple[SegmentationConfig, tuple[int, int]]] = {
    "small": (SegmentationConfig(name="light"), (360, 480)),
    "published": (published_protocol(), (1024, 2048)),
}
"""Options of the segmentation, height and width of the frames."""

FRAMES = 5
_GPU = 4.0
"""Pixels of a crop of 1024x2048 in those of 512x1024."""


def measure(
    options: SegmentationConfig, size: tuple[int, int], crops: int, *, with_step: bool
) -> dict[str, float]:
    """Milliseconds of the processor per crop, and crops per second of the pipeline.

    Args:
      options: network, crops and recipe.
      size: of the frames.
      crops: how many are timed.
      with_step: whether the training step is timed here.
    """
    with tempfile.TemporaryDirectory() as folder:
        dataset, frames = student_crops(Path(folder), options, size)
        found = {
            "reading": _per_call(_reader(frames), len(frames)),
            "cutting": _per_call(_drawer(dataset), crops),
            "through the pipeline": _through_pipeline(dataset, options.optimiser.batch_size, crops),
        }
        if with_step:
            found["step"] = _step(options, dataset) / options.optimiser.batch_size
    return found


def student_crops(
    folder: Path, options: SegmentationConfig, size: tuple[int, int]
) -> tuple[CropDataset, tuple[LabelledFrame, ...]]:
    """What a student of rendered streets is trained on, and the frames that its crops are cut from.

    Labels are propagated by standing still.

    Args:
      folder: to write the streets and the labels to.
      options: of its network.
      size: of the frames.
    """
    height, width = size
    streets = SyntheticConfig(height=height, width=width, frames=FRAMES)
    write_folder(SyntheticSource(streets, 1, 0), folder / "data")
    config, listed = Config(), str(folder / "data/splits/windows.txt")
    request = Request(str(folder / "data"), folder / "labels", "static", listed)
    propagate(config, request, workdir=None)
    source = open_folder(folder / "data")
    windows = read_windows(listed, source)
    further = propagated_frames(
        folder / "labels", source, windows, offsets=config.student.offsets, method="static"
    )
    known = KnownLabels(source, windows, (), further)
    dataset = build_crop_dataset(
        options,
        known,
        source,
        windows,
        further=further,
        further_share=config.student.further_share,
        epoch=config.student.epoch,
    )
    return dataset, known.items + further


def _reader(frames: Sequence[LabelledFrame]) -> Callable[[], Any]:
    turn = itertools.cycle(frames)

    def read() -> Any:
        item = next(turn)
        return item.frame(), item.label()

    return read


def _drawer(dataset: CropDataset) -> Callable[[], Any]:
    """Draws one crop after another; all frames are in memory by then."""
    rng = np.random.default_rng(0)
    places = itertools.count()
    for _ in range(8 * len(dataset.learnt)):
        dataset.draw(next(places), rng)
    return lambda: dataset.draw(next(places), rng)


def _per_call(call: Callable[[], Any], times: int) -> float:
    """Milliseconds of the processor per call."""
    start = time.process_time()
    for _ in range(times):
        call()
    return 1e3 * (time.process_time() - start) / times


def _through_pipeline(dataset: CropDataset, batch_size: int, crops: int) -> float:
    batches = make_batches(
        range(10**6), batch_size=batch_size, seed=0, transform=dataset.draw, shuffle=False
    )
    next(batches)
    start, count = time.perf_counter(), max(2, crops // batch_size)
    for _ in range(count):
        next(batches)
    seconds = time.perf_counter() - start
    batches.close()
    return count * batch_size / seconds


def _step(options: SegmentationConfig, dataset: CropDataset, times: int = 3) -> float:
    """Milliseconds of the processor for a training step, the first and its compiling left out."""
    recipe, classes = options.optimiser, dataset.learnt[0].source.classes
    network = build_for_classes(options, classes)
    optimizer = make_optimizer(recipe, 100, 10)
    rng = np.random.default_rng(0)
    drawn = [dataset.draw(i, rng) for i in range(recipe.batch_size)]
    batch = CropBatch(*(jnp.asarray(np.stack(parts)) for parts in zip(*drawn, strict=True)))
    key = jax.random.key(0)
    variables = network.init(key, jnp.zeros((1, *dataset.sampler.crop, 3)))
    state = create_train_state(variables, optimizer, ema=recipe.ema_decay > 0)
    weights = class_weights(jnp.asarray(dataset.expected_counts, jnp.float32))
    step = jax.jit(
        make_train_step(network, optimizer, make_loss(recipe, weights), ema_decay=recipe.ema_decay)
    )
    state, _ = jax.block_until_ready(step(state, batch, key))

    def call() -> None:
        jax.block_until_ready(step(state, batch, key))

    return _per_call(call, times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--crops", type=int, default=48)
    parser.add_argument("--remark", help="what else the machine did")
    record_option(parser)
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for name, (options, size) in SETTINGS.items():
        small = name == "small"
        found[name] = measure(
            options, size, arguments.crops if small else arguments.crops // 4, with_step=small
        )
        if not small:
            rate = read_results()["segmentation_gpu"]["figures"]["training step"]["ours"]
            found[name]["step"] = 1e3 * _GPU / rate
        one = found[name]
        one["cores, frames in memory"] = one["cutting"] / one["step"]
        one["cores, frames read"] = (one["reading"] + one["cutting"]) / one["step"]
        print(name, *(f"{k} {v:.2f}" for k, v in one.items()), sep="\n  ")
    if arguments.record:
        write_result(
            arguments.record,
            found,
            seeds=(0,),
            note="milliseconds of one core per crop (published step: of an H200, by the clock); "
            "crops per second through the pipeline; cores that keep a step busy",
            remark=arguments.remark,
        )


if __name__ == "__main__":
    main()
