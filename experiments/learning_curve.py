"""How does g_ψ learn? Its scores along one training, class by class.

python -m experiments.learning_curve --config=C --stills=ROOT:SPLITFILE --data=D --frames=LIST \\
    --workdir=RUN [--config.segmentation.GROUP.key=value]

Trains the segmentation as ``train.py`` does with the same config, keeps what it would label with
after every tenth of the steps, and the same without moving average, and scores both on the frames
of LIST (``<sequence> <frame>`` per line, of D), which are no part of the training. Writes
``RUN/curve.json`` (which ``experiments.figure`` draws) and prints it as a table. Stopped at any
time, the same command goes on.

Finding: on CamVid half of the steps give nearly all of the score; large classes come first, signs
and pedestrians as the learning rate falls; the moving average plays no part at the end
(results/learning_curve.json).
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
from absl import flags

from experiments.record import write_result
from wrp_jax.cli import command_line
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import read_frames
from wrp_jax.evaluation.segmentation import score_segmentation
from wrp_jax.files.atomic import write_atomically
from wrp_jax.runs.results import SEGMENTATION, load_result, result_path, save_result
from wrp_jax.runs.segmentation import load_segmentation
from wrp_jax.runs.workdir import prepare_workdir, run_metadata
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.training.segmentation.stage import train_segmentation
from wrp_jax.training.state import TrainState, inference_variables

KINDS = ("plain", "average")
"""The weights themselves, and their moving average."""

Curve = dict[str, dict[int, dict[str, Any]]]


def train(config: Config, known: KnownLabels, source: VideoSource, workdir: Path) -> None:
    """Trains as ``train.py`` does; what is kept on the way lies in ``RUN/<kind>/<step>``."""
    metadata = run_metadata(config, known)

    def keep(state: TrainState) -> dict[str, float]:
        for kind, kept in zip(KINDS, (state.replace(ema=None), state), strict=True):
            variables = jax.device_get(inference_variables(kept))
            save_result(workdir / kind / str(int(state.step)), SEGMENTATION, variables, metadata)
        return {}

    prepare_workdir(workdir, config, known)
    if not result_path(workdir, SEGMENTATION).exists():
        train_segmentation(config, known, source, (), workdir, eval_fn=keep)


def score(
    config: Config, source: VideoSource, frames: Iterable[tuple[str, str]], workdir: Path
) -> Curve:
    """Scores of all that was kept: by kind and step, ``miou`` and ``iou`` by class, in %."""
    network, frames = None, tuple(frames)
    curve: Curve = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for folder in sorted((workdir / kind).iterdir(), key=lambda path: int(path.name)):
            if network is None:  # one program serves all
                network, _ = load_segmentation(folder, config, source.classes)
            variables, _ = load_result(folder, SEGMENTATION)
            segment = functools.partial(segment_clip, network, variables, batch_size=1)
            scores = score_segmentation(segment, source, frames)
            curve[kind][int(folder.name)] = {key: scores[key] for key in ("miou", "iou")}
    return curve


def table(curve: Curve) -> str:
    """Markdown: a row per step, a column per class that occurs."""
    plain, average = (curve[kind] for kind in KINDS)
    last = average[max(average)]["iou"]
    names = [name for name, value in last.items() if value is not None]
    heads = ["steps", "mIoU", "no average", *names]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for step, scores in average.items():
        values = [scores["miou"], plain[step]["miou"], *(scores["iou"][name] for name in names)]
        lines.append(_row([str(step), *(f"{value:.1f}" for value in values)]))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(config_flag: flags.FlagHolder) -> None:
    """The command line."""
    options, config = flags.FLAGS, command_line.read_config(config_flag)
    source, workdir = open_source(options.data), Path(options.workdir)
    frames = read_frames(options.frames, source)
    stills = [parse_stills(spec) for spec in options.stills]
    start = time.process_time()
    train(config, KnownLabels(stills[0][0], (), stills), stills[0][0], workdir)
    seconds = time.process_time() - start
    curve = score(config, source, frames, workdir)
    write_atomically(workdir / "curve.json", (json.dumps(curve, indent=1) + "\n").encode())
    print(table(curve))
    print(f"\n{seconds / 60:.1f} CPU minutes of training by this call")
    if options.record:
        plain, average = (curve[kind] for kind in KINDS)
        found = {
            step: {"mIoU": scores["miou"], "no average": plain[step]["miou"], **scores["iou"]}
            for step, scores in average.items()
        }
        write_result(options.record, found, seeds=[config.seed], note="IoU in %, by steps")


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    flags.DEFINE_multi_string("stills", None, "ROOT:SPLITFILE.", required=True)
    flags.DEFINE_string("data", None, "Where the scored frames are.", required=True)
    flags.DEFINE_string("frames", None, "List of '<sequence> <frame>' to score.", required=True)
    flags.DEFINE_string("workdir", None, "Where the run goes.", required=True)
    flags.DEFINE_string("record", None, "Write results/NAME.json.")
    return command_line.define_config()


if __name__ == "__main__":
    sys.exit(command_line.run(functools.partial(main, define_flags())))
