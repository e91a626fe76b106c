"""Frames per second of ``propagate.py``, by stages, against PyTorch and OpenCV.

python -m benchmarks.pipeline [--sizes 360x480 1024x2048] [--record=pipeline]

Both label the same clips with the same networks, in one process, files and all. The peer makes no
report and no data set, checks and records nothing, and has no counterpart of warp-refine: its
chooser written a second time would be another program, so warp-inpaint is compared in its place.
The networks are not trained, which decides nothing but how much is in dispute: a g_ψ that knows
nothing disagrees nearly everywhere, so warp-refine puts nearly every tile to its chooser. With
``--data=D --workdir=RUN`` they are those of RUN, on the clip of ``benchmarks.correction``: 41
frames, two of them labelled. There is no peer then.

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
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from benchmarks.correction import SEQUENCE, take_clip
from benchmarks.timing import threads
from experiments.record import record_option, write_result
from wrp_jax.config import Config, SegmentationConfig
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
from wrp_jax.runs.networks import Networks, load_networks
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


class _AtOnce:
    """In the place of an executor: a call runs where it is submitted."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*arguments))
        return future

    def shutdown(self, **_: object) -> None:
        pass


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
        put(chooser_window, "ThreadPoolExecutor", _AtOnce)
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
    root: Path,
    config: Config,
    method: str,
    networks: Networks,
    *,
    once: bool,
    peers_variables: Any = None,
) -> dict[str, Any]:
    """Figures of one method.

    Args:
      root: for what is written; ``data`` is there.
      config: of the run.
      method: its name.
      networks: that it needs, and perhaps others.
      once: the run by stages alone, whose stages do not overlap.
      peers_variables: of g_ψ: also the peer's figures, with these; None: not those.
    """
    data, facts = root / "data", METHODS[method]
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

    if peers_variables is not None:
        from benchmarks.pipeline_torch import label_clip, light_of

        light = None if method == "motion-only" else light_of(peers_variables, CLASSES.num_classes)
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
    parser.add_argument("--data", type=Path, help="a folder of labelled video, with --workdir")
    parser.add_argument("--sequence", default=SEQUENCE, help="of --data")
    parser.add_argument("--workdir", type=Path, help="what train made")
    record_option(parser)
    options = parser.parse_args()
    if (options.data is None) != (options.workdir is None):
        parser.error("--data and --workdir belong together")
    figures: dict[str, dict[str, Any]] = {}
    note = "processor seconds are per frame, stages in ms of them; outside in %; "
    note += "the peak is the process's since its start"

    def found(name: str, of: dict[str, Any]) -> None:
        figures[name] = of
        print(name, *(f"  {key}: {value}" for key, value in of.items()), sep="\n", flush=True)
        if options.record:
            write_result(options.record, figures, note=note)

    if options.workdir:
        for method in options.methods:
            with tempfile.TemporaryDirectory() as folder:
                root, config = Path(folder), Config()
                take_clip(options.data, options.sequence, root / "data")
                made = plan.make_plan(config, Request(str(root / "data"), root / "plan", method))
                windows = [job.window for job in made.own]
                args = (made.config, made.methods, made.source, windows, options.workdir)
                of = measure(root, config, method, load_networks(*args), once=options.once)
                found(f"{method}, trained", of)
        return
    if not options.once:  # which needs no PyTorch
        import torch

        torch.set_num_threads(threads())
    for text in options.sizes:
        height, width = map(int, text.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            write_clips(Path(folder) / "data", (height, width), options.clips, options.frames)
            config = Config(segmentation=SegmentationConfig(name="light"))  # as the peer
            # As long as the clips: no step is made for nothing.
            config.propagation.horizon = options.frames // 2
            networks, variables = untrained(config)
            for method in options.methods:
                peer = None if options.once or method == "warp-refine" else variables
                of = measure(
                    Path(folder), config, method, networks, once=options.once, peers_variables=peer
                )
                found(f"{method} {text}", of)


if __name__ == "__main__":
    main()
