"""How large is the end-point error of a motion on image pairs with true flow?

python -m experiments.flow_error --config=configs/folder.py --samples=DIR [--config.motion.name=…]

DIR holds a folder per pair: ``frame1.png``, ``frame2.png`` and ``flow.flo`` or
``flow_kitti16.png``, on frame 1 into frame 2.

Finding: ``refined_dis`` has the smallest errors on all six pairs, but DIS propagates labels better
(results/flow_error_*.json, motion_labels.json).
"""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path

import numpy as np
from absl import flags

from experiments.record import write_result
from wrp_jax.cli import command_line
from wrp_jax.data.flow_files import read_flow
from wrp_jax.data.images import decode_frame
from wrp_jax.files.regular import read_bytes
from wrp_jax.motion.build import build_motion
from wrp_jax.types import UserError, clip_of


def samples(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, frame 1, frame 2 and true flow (NaN where unknown) of every pair."""
    found = []
    for pair in sorted(path for path in folder.iterdir() if path.is_dir()):
        truth = next((p for p in pair.iterdir() if p.stem.startswith("flow")), None)
        if truth is None:
            continue
        frames = [decode_frame(read_bytes(p), p) for p in sorted(pair.glob("frame[12].*"))]
        if len(frames) != 2:
            raise UserError(f"{pair} lacks frame1 or frame2: give both.")
        found.append((pair.name, *frames, read_flow(truth)))
    if not found:
        raise UserError(f"--samples={folder} holds no folder with a flow: give flow_samples.")
    return found


def main(config_flag: flags.FlagHolder) -> None:
    config = command_line.read_config(config_flag).motion
    if not flags.FLAGS.samples or not Path(flags.FLAGS.samples).is_dir():
        raise UserError("--samples=DIR must be a folder of image pairs with true flow.")
    motion = build_motion(config)
    print(f"{config.name}: end-point error in pixels; share of vectors more than 3 px off")
    found = {}
    for name, first, second, truth in samples(Path(flags.FLAGS.samples)):
        start = time.perf_counter()
        flow = motion(clip_of(np.stack([first, second])), [0], [1])[0]
        seconds = time.perf_counter() - start
        error = np.linalg.norm(flow - truth, axis=-1)[np.isfinite(truth).all(-1)]
        known = error[np.isfinite(error)]
        found[name] = known.mean()
        print(
            f"  {name:24s} {known.mean():7.2f} px  {np.mean(known > 3):6.1%}  {seconds:6.2f} s"
            + (f"  {1 - len(known) / len(error):.1%} void" if len(known) < len(error) else "")
        )
    if flags.FLAGS.record:
        write_result(flags.FLAGS.record, found, note="mean end-point error in pixels, by pair")


if __name__ == "__main__":
    flags.DEFINE_string("samples", None, "A folder with a folder per pair.")
    flags.DEFINE_string("record", None, "Write results/NAME.json.")
    sys.exit(command_line.run(functools.partial(main, command_line.define_config())))
