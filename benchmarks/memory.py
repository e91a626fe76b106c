"""Memory of propagation and of its gradient: ``python -m benchmarks.memory [command | forecast]``.

1. Peak resident memory of a process that labels one window of 20, 40 and 80 frames, cues made
   piece by piece, beside that of a process that stops before propagating.
2. What XLA sets aside for the gradient of eq. 9-12 with a small Ω in every step, against the
   length l of the cycle, with and without remat.
3. With ``command``, instead of these: peak resident memory of ``propagate.py`` by method, networks
   trained for a few steps, against the length of its one window, whose first and last frame are
   labelled, and the time it takes; ``--size HEIGHT WIDTH --frames N...`` for other videos.
4. With ``forecast``: what ``--dry-run`` of propagate, predict and flow forecasts, beside what the
   run takes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.record import record_option, write_result

FRAMES = (20, 40, 80)
LENGTHS = (2, 4, 6, 8)
HEIGHT, WIDTH, CLASSES = 360, 480, 12
COMMAND_FRAMES = (50, 200, 1000)
COMMAND_METHODS = ("motion-only", "semantic-only", "warp-inpaint", "warp-refine")
COMMAND_SIZE = (64, 96)
FORECAST_FRAMES = 31
FORECAST_SIZES = ((120, 160),)
SHORT_TRAINING = (
    "--config.segmentation.optimiser.steps=4",
    "--config.segmentation.sampling.crop=(64,96)",
    "--config.refiner.steps=4",
    "--config.refiner.clips=1",
)


def propagate(n: int, run: bool) -> float:
    """Peak resident memory in MB, arguments and result taken off."""
    from wrp_jax.config import MotionConfig, PropagationConfig
    from wrp_jax.motion.build import build_motion
    from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
    from wrp_jax.propagation.methods import label_frames
    from wrp_jax.propagation.results import collect
    from wrp_jax.propagation.window_cues import MadeCues
    from wrp_jax.types import ClassMap, Clip, Positions, clip_of

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (n, HEIGHT, WIDTH, 3), dtype=np.uint8)
    label = rng.integers(0, CLASSES, (HEIGHT, WIDTH), dtype=np.int32)
    names = tuple(str(i) for i in range(CLASSES))
    colors = np.zeros((CLASSES, 3), np.uint8)
    classes = ClassMap(tuple(range(CLASSES)), names, colors, (False,) * CLASSES)
    features = np.zeros((1, 1, 1, 0), np.float32)

    def segment(clip: Clip, positions: Positions):
        probs = np.full((len(positions), HEIGHT, WIDTH, CLASSES), 1 / CLASSES, np.float32)
        return probs, np.repeat(features, len(positions), axis=0)

    motion, part = build_motion(MotionConfig(name="zero")), frames if run else frames[:2]
    cues = MadeCues(clip_of(part), motion, segment)
    keys = (Keyframe(n // 2 if run else 0, label),)
    window = LabelledWindow(cues, keys, classes, motion)
    result = collect(len(part), label_frames("warp-inpaint", PropagationConfig(), window))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held = sum(x.nbytes for x in result if x is not None) + frames.nbytes
    return peak - held / 2**20


def gradient_memory(length: int, remat: bool) -> tuple[float, float]:
    """Temporary memory of the compiled gradient and the size of its arguments, MB."""
    import jax
    import jax.numpy as jnp

    from wrp_jax.propagation.carriers import build_carrier
    from wrp_jax.propagation.cues import ChainInputs, derive
    from wrp_jax.propagation.rollout import rollout
    from wrp_jax.propagation.step import MaskOptions, make_step

    h, w, hidden = 180, 240, 32
    steps = 2 * length

    def loss(weights, tau, chain, labels):
        def refine(probs, features, cues):
            x = jnp.concatenate([probs, cues.image], axis=-1)
            for weight in weights[:-1]:
                x = jax.nn.gelu(x @ weight)
            return jax.nn.softmax(jnp.log(probs + 1e-3) + x @ weights[-1], axis=-1)

        carrier = build_carrier("soft", CLASSES)
        step = make_step(carrier, MaskOptions(tau, softness=0.1), refine)
        state, _ = rollout(step, carrier.init(labels), derive(chain), remat=remat)
        wanted = jnp.take_along_axis(state, labels[..., None], axis=-1)
        return -jnp.mean(jnp.log(wanted + 1e-3))

    def array(*shape, dtype=jnp.float32):
        return jax.ShapeDtypeStruct(shape, dtype)

    chain = ChainInputs(
        array(steps + 1, 1, h, w, 3, dtype=jnp.uint8),
        array(steps, 1, h, w, 2),
        array(steps, 1, h, w, 2),
        array(steps, 1, h, w, CLASSES),
        array(steps, 1, 1, 1, 0),
        array(steps, 1),
    )
    weights = [array(CLASSES + 3, hidden), array(hidden, hidden), array(hidden, CLASSES)]
    program = jax.jit(jax.grad(loss, argnums=(0, 1)))
    labels = array(1, h, w, dtype=jnp.int32)
    compiled = program.lower(weights, array(), chain, labels).compile()
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes / 2**20, analysis.argument_size_in_bytes / 2**20


def write_video(folder: Path, n: int, size: tuple[int, int], keys: Sequence[int]) -> None:
    """A picture that moves by a pixel per frame; ``keys`` are labelled."""
    rng = np.random.default_rng(0)
    height, width = size
    small = rng.integers(0, CLASSES, (height // 12 + 1, (width + n) // 12 + 1), dtype=np.uint8)
    wide = np.kron(small, np.ones((12, 12), np.uint8))[:height]
    image = 20 * wide[..., None] + rng.integers(0, 30, (*wide.shape, 3), dtype=np.uint8)
    for kind in ("frames", "labels"):
        (folder / "a" / kind).mkdir(parents=True)
    for t in range(n):
        Image.fromarray(image[:, t : t + width]).save(folder / "a" / "frames" / f"{t:04d}.png")
    for key in keys:
        label = Image.fromarray(wide[:, key : key + width])
        label.save(folder / "a" / "labels" / f"{key:04d}.png")
    classes = [{"id": i, "name": str(i)} for i in range(CLASSES)]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))


def trained(root: Path, n: int, size: tuple[int, int], keys: Sequence[int]) -> list[str]:
    """Writes a video and trains on it for a few steps, once; the flags that name both."""
    data, run = root / str(n), root / "run"
    if not data.exists():
        write_video(data, n, size, keys)
    common = ["--config=configs/folder.py", f"--data={data}", f"--workdir={run}", *SHORT_TRAINING]
    if not run.exists():
        subprocess.run([sys.executable, "train.py", *common], check=True, capture_output=True)
    return common


def command_memory(root: Path, n: int, size: tuple[int, int], method: str) -> tuple[float, float]:
    """Peak resident memory of ``propagate.py`` in MB, and its wall time in seconds."""
    keys = 0, n - 1
    if method == "motion-only":
        data = root / method / str(n)
        write_video(data, n, size, keys)
        common = ["--config=configs/folder.py", f"--data={data}"]
    else:
        common = trained(root, n, size, keys)
    output = root / "out" / method / str(n)
    words = [*common, f"--method={method}", f"--horizon={n}", f"--output={output}"]
    return measured(["propagate.py", *words])


def measured(words: list[str], environment: dict[str, str] | None = None) -> tuple[float, float]:
    """Peak resident memory of a command in MB, and its wall time in seconds."""
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", measure, sys.executable, *words],
        check=True, capture_output=True, text=True, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return int(done.stdout.split()[-1]) / 1024, time.perf_counter() - start


def forecast(root: Path, n: int, size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Forecast and measured peak memory (MB) and time in seconds of each command."""
    common, found = trained(root, n, size, [n // 2]), {}
    flow = [word for word in common if "workdir" not in word]
    for name, words in {
        "propagate": ["propagate", *common, f"--horizon={n}"],
        "motion-only": ["propagate", *common, f"--horizon={n}", "--method=motion-only"],
        "predict": ["predict", *common],
        "flow": ["flow", *flow],
    }.items():
        command = ["-m", "wrp_jax", *words, f"--output={root / 'out' / name}"]
        # Both compile: what an earlier run has compiled takes no memory for that.
        cold = [
            {"JAX_COMPILATION_CACHE_DIR": str(root / "cold" / name / x)} for x in ("dry", "run")
        ]
        dry = subprocess.run(
            [sys.executable, *command, "--dry-run"], check=True, capture_output=True, text=True,
            env={**os.environ, **cold[0]},
        )  # fmt: skip
        lines = dict(line.split(": ", 1) for line in dry.stdout.splitlines())
        memory = re.match(r"about ([\d.]+) (MB|GB)", lines["memory"])
        seconds = re.match(r"about ([\d.]+) (s|min|h)", lines["time"])
        assert memory and seconds, dry.stdout
        peak, wall = measured(command, cold[1])
        found[name] = {
            "forecast": float(memory[1]) * {"MB": 1, "GB": 1e3}[memory[2]],
            "peak": peak * 2**20 / 1e6,
            "forecast seconds": float(seconds[1]) * {"s": 1, "min": 60, "h": 3600}[seconds[2]],
            "seconds": wall,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    record_option(parser)
    note = "peak memory in MB"
    if sys.argv[1:2] == ["command"]:
        parser.add_argument("--size", type=int, nargs=2, default=COMMAND_SIZE)
        parser.add_argument("--frames", type=int, nargs="+", default=COMMAND_FRAMES)
        parser.add_argument("--methods", nargs="+", default=COMMAND_METHODS)
        options = parser.parse_args(sys.argv[2:])
        height, width = options.size
        print(f"Peak memory of propagate.py at {height}x{width}, {CLASSES} classes")
        peaks = {method: dict.fromkeys(options.frames) for method in options.methods}
        with tempfile.TemporaryDirectory() as folder:
            for method in options.methods:
                for n in options.frames:
                    peak, seconds = command_memory(Path(folder), n, (height, width), method)
                    print(f"  {method} {n:4d} frames {peak:9.0f} MB {seconds:7.0f} s", flush=True)
                    peaks[method][n] = peak
                    if options.record:
                        write_result(options.record, peaks, note=f"{note}, by frames of the window")
        return
    if sys.argv[1:2] == ["forecast"]:
        options, found = parser.parse_args(sys.argv[2:]), {}
        print("Peak memory in MB and time in seconds: forecast by --dry-run, and measured")
        for height, width in FORECAST_SIZES:
            with tempfile.TemporaryDirectory() as folder:
                rows = forecast(Path(folder), FORECAST_FRAMES, (height, width))
            for name, row in rows.items():
                cells = " ".join(f"{value:7.0f}" for value in row.values())
                print(f"  {height}x{width} {name:12} {cells}", flush=True)
            found[f"{height}x{width}"] = rows
        if options.record:
            write_result(options.record, found, note="peak memory in MB, wall time in seconds")
        return
    if len(sys.argv) == 3 and sys.argv[1].isdecimal():
        print(propagate(int(sys.argv[1]), sys.argv[2] == "run"))
        return
    options = parser.parse_args()
    found: dict[str, dict[int, float]] = {"window": {}, "gradient": {}, "gradient, remat": {}}
    print(f"Peak memory of warp-inpaint at {HEIGHT}x{WIDTH}, frames and result taken off")
    for mode in ("two frames", "run"):
        for n in FRAMES if mode == "run" else FRAMES[:1]:
            arguments = [sys.executable, "-m", "benchmarks.memory", str(n), mode]
            output = subprocess.run(arguments, check=True, capture_output=True, text=True)
            print(f"  {n if mode == 'run' else 2:3d} frames {float(output.stdout):9.0f} MB")
            found["window"][n if mode == "run" else 2] = float(output.stdout)
    print("Gradient of a cycle at 180x240, temporary memory")
    for length in LENGTHS:
        (plain, arguments), (remat, _) = (gradient_memory(length, r) for r in (False, True))
        print(
            f"  l = {length}: {plain:7.0f} MB, with remat {remat:7.0f} MB (cues {arguments:.0f} MB)"
        )
        found["gradient"][length], found["gradient, remat"][length] = plain, remat
    if options.record:
        write_result(options.record, found, note=f"{note}, by frames of window or cycle")


if __name__ == "__main__":
    main()
