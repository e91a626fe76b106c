"""Frames per second of ``propagate.py``, by stages, against PyTorch and OpenCV.

python -m benchmarks.pipeline [--sizes 360x480 1024x2048] [--record=pipeline]

Both label the same clips with the same networks, in one process, files and all. The peer makes no
report and no data set, checks and records nothing, and has no counterpart of warp-refine: its
chooser written a second time would be another program, so warp-inpaint is compared in its place.
The networks are not trained, which decides nothing but how much is in dispute: a g_ψ that knows
nothing disagrees nearly everywhere, so warp-refine puts nearly every tile to its chooser.

The report shows three windows at most: its share falls with the number of windows.
Frames per second are those of a quiet machine only; processor seconds depend on it less.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import torch
from PIL import Image

from benchmarks.pipeline_torch import label_clip, light_of
from benchmarks.timing import threads
from experiments.record import record_option, write_result
from wrp_jax.config import Config
from wrp_jax.data import images, label_writer, source
from wrp_jax.data.label_maps import CLASSES_FILE, classes_to_json
from wrp_jax.data.synthetic.config import CLASSES
from wrp_jax.data.synthetic.source import open_synthetic
from wrp_jax.labelling import background, files, finish, flips, plan, run, watch, window_result
from wrp_jax.labelling.request import Request
from wrp_jax.models.refine.build import build_refiner
from wrp_jax.motion import dis
from wrp_jax.motion.build import build_motion
from wrp_jax.propagation import along_chains
from wrp_jax.propagation.chooser import window as chooser_window
from wrp_jax.propagation.chooser.network_inputs import init_chooser
from wrp_jax.propagation.chooser.window import ChooserRefiner
from wrp_jax.propagation.methods import METHODS
from wrp_jax.runs.networks import Networks
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.segmentation.for_classes import build_for_classes

NAMES = ("motion-only", "warp-inpaint", "warp-refine")
CORE = ("motion", "segmentation", "hypotheses and choice")
SMALL = 512  # rows up to which clips are rendered as they are; larger ones at half the size


def write_clips(root: Path, size: tuple[int, int], clips: int, frames: int) -> None:
    """Rendered street clips with one labelled frame each, the middle one."""
    factor = 1 if size[0] <= SMALL else 2
    height, width = (side // factor for side in size)
    rng = np.random.default_rng(0)
    rendered = open_synthetic(f"clips={clips},frames={frames},height={height},width={width}")
    for sequence in rendered.sequences:
        clip = rendered.clip(sequence)
        for kind in ("frames", "labels"):
            (root / sequence / kind).mkdir(parents=True)
        for i, frame in enumerate(clip.frames):
            if factor > 1:  # the noise of a sensor, which enlarging has smoothed
                frame = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_CUBIC).astype(int)
                frame = np.clip(frame + rng.integers(-4, 5, frame.shape), 0, 255).astype(np.uint8)
            Image.fromarray(frame).save(root / sequence / "frames" / f"{i:04d}.png")
        label = cv2.resize(
            clip.labels[frames // 2].astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST
        )
        path = root / sequence / "labels" / f"{frames // 2:04d}.png"
        path.write_bytes(images.encode_png(label))
    (root / CLASSES_FILE).write_text(json.dumps(classes_to_json(CLASSES)))


def untrained(config: Config) -> tuple[Networks, Any]:
    """The light networks with weights as they are drawn, and those of g_ψ."""
    network = build_for_classes(config.segmentation, CLASSES)
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    segment = functools.partial(segment_clip, network, variables)
    chooser = build_refiner(config.refiner)
    expected = np.full((CLASSES.num_classes, 2), 0.5, np.float32)
    refiner = ChooserRefiner(chooser, init_chooser(chooser, jax.random.key(1)), expected)
    return Networks(build_motion(config.motion), segment, refiner, "untrained"), variables


class Stages:
    """Processor time by stage; what runs inside of another stage counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        self._turn()
        inside = "report and data set" in self._open  # decoding and packing are a part of it
        self._open.append("report and data set" if inside else name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with self.of(name):
                return jax.block_until_ready(function(*arguments, **options))

        return call


@contextlib.contextmanager
def measured(stages: Stages) -> Iterator[None]:
    """Times the functions that stages go through; nothing runs in the background meanwhile."""
    places = [
        ("decode", images, "decode_frame"),
        ("decode", source, "read_frame"),
        ("report and data set", watch.Watch, "finish"),
        ("report and data set", flips.KeptLabels, "flips"),
        ("report and data set", window_result.WindowResult, "save"),
        ("encode", files, "encode_png"),
        ("encode", files, "overlay"),
        ("encode", images, "encode_png"),
        ("write", files, "write_atomically"),
        ("write", label_writer, "write_atomically"),
        ("hypotheses and choice", along_chains, "_run_chunk"),
        ("hypotheses and choice", chooser_window, "_jitted_step"),
    ]
    with contextlib.ExitStack() as stack:

        def put(owner: Any, name: str, value: Any) -> None:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

        for stage, owner, name in places:
            put(owner, name, stages.timed(stage, getattr(owner, name)))
        put(background.Background, "run", lambda self, call, *a, **k: call(*a, **k))
        put(background.ReadAhead, "__call__", lambda self, position: self._read(position))
        yield


def label(
    config: Config, data: Path, output: Path, method: str, networks: Networks, stages: Stages
) -> int:
    """Labels all clips; returns how many frames were written."""
    with stages.of("other"):
        made = plan.make_plan(config, Request(str(data), output, method))
        plan.claim(made, networks.digest)
        results = run.label_windows(made, networks)
        with stages.of("report and data set"):
            finish.finish(made, results)
    return len(made.written())


def measure(
    root: Path, size: tuple[int, int], method: str, clips: int, frames: int, peer: bool, once: bool
) -> dict[str, Any]:
    """Figures of one method at one size.

    Args:
      root: for what is written.
      size: height and width.
      method: its name.
      clips: how many.
      frames: of each.
      peer: also the peer's.
      once: the run by stages alone, whose stages do not overlap.
    """
    data = root / "data"
    if not data.exists():
        write_clips(data, size, clips, frames)
    config = Config()
    config.propagation.horizon = frames // 2  # as long as the clips: no step is made for nothing
    networks, variables = untrained(config)
    facts = METHODS[method]
    networks = networks._replace(
        segment=networks.segment if facts.segments or facts.refines else None,
        refiner=networks.refiner if facts.refines else None,
    )
    warm = Request(str(data), root / method / "warm", method)
    run.label_windows(plan.make_plan(config, warm), networks, limit=1)

    found: dict[str, Any] = {}
    if not once:
        wall, cpu = time.perf_counter(), time.process_time()
        count = label(config, data, root / method / "ours", method, networks, Stages())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found |= {"frames": count, "frames per second": count / wall}
        found["processor seconds"] = cpu / count

    stages = Stages()
    timed = networks._replace(motion=stages.timed("motion", networks.motion))
    if networks.segment is not None:
        timed = timed._replace(segment=stages.timed("segmentation", networks.segment))
    with measured(stages):
        count = label(config, data, root / method / "stages", method, timed, stages)
    total = sum(stages.seconds.values())
    if once:
        found |= {"frames": count, "processor seconds": total / count}
    found["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found["stages"] = {name: 1e3 * s / count for name, s in sorted(stages.seconds.items())}
    core = sum(stages.seconds.get(name, 0.0) for name in CORE)
    found["outside"] = 100 * (1 - core / total)
    found["outside, report aside"] = 100 * (
        1 - core / (total - stages.seconds["report and data set"])
    )

    if peer:
        light = None if method == "motion-only" else light_of(variables, CLASSES.num_classes)
        opened = source_of(data)
        wall, cpu = time.perf_counter(), time.process_time()
        for sequence, paths, key, truth in opened:
            output = root / method / "peer" / sequence
            flow = dis._create(config.motion.preset)
            label_clip(paths, key, truth, CLASSES, output, flow, light)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found |= {"peer frames per second": count / wall, "peer processor seconds": cpu / count}
    return found


def source_of(data: Path) -> list[tuple[str, list[Path], int, np.ndarray]]:
    """Sequences with their files, and the labelled frame's place and label."""
    found = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        paths = sorted((folder / "frames").iterdir())
        path = next((folder / "labels").iterdir())
        key = [p.name for p in paths].index(path.name)
        found.append((folder.name, paths, key, images.decode_label(path.read_bytes(), path).pixels))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=("360x480", "1024x2048"))
    parser.add_argument("--methods", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--frames", type=int, default=7, help="of each clip")
    parser.add_argument("--once", action="store_true", help="by stages alone, without the peer")
    record_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(threads())
    figures: dict[str, dict[str, Any]] = {}
    for text in options.sizes:
        size = tuple(int(side) for side in text.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            for method in options.methods:
                found = measure(
                    Path(folder), (size[0], size[1]), method, options.clips, options.frames,
                    peer=method != "warp-refine" and not options.once, once=options.once,
                )  # fmt: skip
                figures[f"{method} {text}"] = found
                print(f"{method} at {text}")
                for name, value in found.items():
                    print(f"  {name}: {value}", flush=True)
                if options.record:
                    note = "processor seconds are per frame, stages in ms of them; outside in %; "
                    note += "the peak is the process's since its start"
                    write_result(options.record, figures, note=note)


if __name__ == "__main__":
    main()
