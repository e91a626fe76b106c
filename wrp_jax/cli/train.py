"""Trains what a config lists, from labelled frames and the video around them.

  wrp train --config=folder --data=D --workdir=RUN [--config.key=value]
  wrp train --config=segment_folder --stills=D:LIST --workdir=RUN

RUN is runs/<name of the config's file> where --workdir is not given. The same command goes on where
it was stopped. Without --data segmentation alone can be trained.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from wrp_jax.cli import command_line
from wrp_jax.config import Config
from wrp_jax.types import UserError, Window


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    command_line.define_data()
    flags.DEFINE_string(
        "workdir",
        None,
        "Where checkpoints, metrics and weights go; runs/<name of the config's file> if absent.",
    )
    flags.DEFINE_string("windows", None, "List of windows; their labelled frames are known.")
    flags.DEFINE_string("keyframes", None, "List of labelled frames; every one if absent.")
    flags.DEFINE_multi_string("stills", [], "ROOT:SPLITFILE, labelled frames without video.")
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> None:
    """Reads the flags and runs the stages."""
    from wrp_jax.data.known_labels import KnownLabels, parse_stills
    from wrp_jax.data.open_source import input_folder, open_source
    from wrp_jax.data.source import validate
    from wrp_jax.data.windows import choose_windows, whole_sequences
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.files.output import check_output
    from wrp_jax.motion.build import reads_flow_files
    from wrp_jax.motion.precomputed import check_flows
    from wrp_jax.training.stages import check_stages, reads_labels, run_stages

    options, config = flags.FLAGS, command_line.read_config(config_flag)
    check_stages(config)
    data, workdir = options.data, options.workdir
    if not (data or options.stills):
        raise UserError("--data=FOLDER (or --stills=ROOT:LIST) must be given.")
    if not workdir:
        name = config_flags.get_config_filename(options["config"])
        workdir = str(Path("runs") / Path(name).stem)
    if not data and tuple(config.stages) != ("segmentation",):
        raise UserError(
            f"--data is missing: the stages {', '.join(config.stages)} look at video; stills alone "
            "train --config.stages=segmentation, as in configs/segment_folder.py."
        )
    labelled = reads_labels(config.stages)
    _check_flags(config, labelled=labelled)
    stills = [parse_stills(spec) for spec in options.stills]
    source = open_source(data, labelled=labelled) if data else stills[0][0]
    inputs = (data, *(still.name for still, _ in stills))
    check_output(Path(workdir), *(input_folder(spec) for spec in inputs if spec))
    windows: tuple[Window, ...] = ()
    if data and labelled:
        windows = choose_windows(
            source,
            windows=options.windows,
            keyframes=options.keyframes,
            key_every=config.key_every,
            horizon=config.propagation.horizon,
        )
        validate(source, windows)
    elif data:
        validate(source, whole_sequences(source), labels=())
    if reads_flow_files(config.motion) and data:
        check_flows(Path(config.motion.folder), source, windows or whole_sequences(source))
    known = KnownLabels(source, windows, stills)
    with sole_writer(Path(workdir), "--workdir"):
        run_stages(config, known, source, windows, workdir)
    if not options.workdir:
        print(f"--workdir={workdir} is what was trained.", file=sys.stderr)


def _check_flags(config: Config, *, labelled: bool) -> None:
    """Refuses flags that would have no effect."""
    options = flags.FLAGS
    lists = {"--windows": options.windows, "--keyframes": options.keyframes}
    given = [name for name, value in lists.items() if value]
    if given and not options.data:
        raise UserError(f"{given[0]} names frames of --data, which is not given: leave it out.")
    given += ["--stills"] if options.stills else []
    if given and not labelled:
        raise UserError(
            f"{given[0]} has no effect: no label is read by the stages {', '.join(config.stages)} "
            "(config.stages); leave it out."
        )
