"""Carries the labels of a few frames to the frames around them.

  wrp propagate --config=folder --data=D --workdir=RUN --output=OUT
  wrp propagate --config=demo

RUN is what train made; --method=static and --method=motion-only need none. The same command goes on
where it was stopped. With --config=demo nothing else is needed.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from wrp_jax.cli import command_line
from wrp_jax.config import Config
from wrp_jax.data.source import VideoSource
from wrp_jax.labelling.request import Request
from wrp_jax.types import UserError, Window


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    command_line.define_data()
    flags.DEFINE_string("workdir", None, "What train made.")
    flags.DEFINE_string("output", None, "Where labels, scores and the report go.")
    flags.DEFINE_string(
        "method",
        "all",
        "all, static, motion-only, semantic-only, semantic-argmax, warp-inpaint or warp-refine.",
    )
    flags.DEFINE_string("windows", None, "List of '<sequence> <labelled> <first> <last>'.")
    flags.DEFINE_string("keyframes", None, "List of labelled frames; every one if absent.")
    flags.DEFINE_integer("horizon", None, "Frames to label on both sides; the config's.")
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> None:
    """Reads the flags and labels."""
    options, config = flags.FLAGS, command_line.read_config(config_flag)
    data, output = options.data or config.data, options.output
    if not data:
        raise UserError("--data is missing.")
    if not output:
        if options.data:
            raise UserError("--output is missing.")
        output = f"{Path(config_flags.get_config_filename(flags.FLAGS['config'])).stem}_output"
    request = Request(
        data=data,
        output=Path(output),
        method=options.method,
        windows=options.windows,
        keyframes=options.keyframes,
        horizon=options.horizon,
    )
    workdir = Path(options.workdir) if options.workdir else None
    propagate(config, request, workdir=workdir, train=not options.data)


def propagate(
    config: Config, request: Request, *, workdir: Path | None, train: bool = False
) -> dict[str, Any]:
    """Labels what the request asks for.

    Args:
      config: all options.
      request: what to label and where to write.
      workdir: of ``train.py``; None for methods that need none.
      train: without a workdir, trains the stages of the config in ``OUTPUT/training`` first.

    Returns:
      What ``metrics.json`` holds.

    Raises:
      UserError: a mistake in what was given; nothing has been written then. Another run writes
        to the same output.
    """
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.files.output import check_apart
    from wrp_jax.labelling.finish import finish, scores_text
    from wrp_jax.labelling.plan import check_free, claim, make_plan
    from wrp_jax.labelling.run import label_windows
    from wrp_jax.motion.build import reads_flow_files
    from wrp_jax.motion.precomputed import check_flows
    from wrp_jax.runs.networks import STANDS_STILL, load_networks, stages_to_train

    check_apart(request.output, workdir)
    plan = make_plan(config, request)
    check_free(plan)
    to_load = (plan.config, plan.methods, plan.source, plan.windows)
    if reads_flow_files(config.motion) and not set(plan.methods) <= STANDS_STILL:
        check_flows(Path(config.motion.folder), plan.source, plan.windows)
    stages = stages_to_train(plan.methods, config) if train and workdir is None else ()
    training = dataclasses.replace(config, stages=stages)
    networks = None
    if stages:
        from wrp_jax.training.stages import check_stages

        check_stages(training)
    else:
        # Before the folder is made: weights may be missing.
        networks = load_networks(*to_load, workdir)
    with sole_writer(plan.output, "--output"):
        if networks is None:
            workdir = plan.output / "training"
            _train(training, plan.source, plan.windows, workdir)
            networks = load_networks(*to_load, workdir)
        claim(plan, networks.digest)
        metrics = finish(plan, label_windows(plan, networks), networks.trained_on)
    print(scores_text(metrics))
    for note in metrics["notes"]:
        print(note, file=sys.stderr)
    print(f"{plan.output / 'report.html'} shows the labels.", file=sys.stderr)
    return metrics


def _train(config: Config, source: VideoSource, windows: tuple[Window, ...], workdir: Path) -> None:
    from wrp_jax.data.known_labels import KnownLabels
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.training.stages import run_stages

    known = KnownLabels(source, windows)
    with sole_writer(workdir, "--workdir"):
        run_stages(config, known, source, windows, workdir)
