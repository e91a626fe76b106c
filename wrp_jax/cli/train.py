"""Trains the networks of a config on your labelled frames and the video around them.

  wrp train --config=folder --data=D --workdir=RUN
  wrp train --config=quick --data=D --workdir=RUN
  wrp train --config=segment_folder --stills=D:LIST --workdir=RUN
  wrp train --config=student --data=D --config.pseudo=OUT --workdir=W --config.test=TEST

D is a folder of videos with labels ('wrp doctor D' looks for mistakes in it), or an export of an
annotation tool (see 'wrp import'), which goes to RUN/imported. RUN gets checkpoints and weights,
and 'wrp propagate' reads them there. You can stop the command at any time: the same command goes
on. --config=folder holds the defaults, and --config=quick trains smaller networks for a shorter
time. --config.key=value changes an option; docs/OPTIONS.md lists them.

The third command trains segmentation alone, on pictures without video. The fourth trains a student
on the labels that 'wrp propagate' wrote to OUT, and scores it on the labelled frames of TEST (a
video or an export as for --data, or D:LIST), into W/scores.json.

When you have added or corrected labels, --update trains the segmentation network of RUN on for a
short while. The result goes to RUN/updates/1, 2, …, and RUN stays as it is.

Several processes train one network: start the same command in each. On TPU slices, under srun and
under Open MPI they find each other; elsewhere give --coordinator, --num_processes and --process_id.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from wrp_jax.cli import command_line
from wrp_jax.config import Config
from wrp_jax.types import UserError


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    command_line.define_data()
    flags.DEFINE_string(
        "workdir",
        None,
        "The folder for checkpoints, metrics and weights. Default: runs/NAME, as the config's "
        "file is named.",
    )
    flags.DEFINE_string("windows", None, command_line.WINDOWS_HELP)
    flags.DEFINE_string("keyframes", None, command_line.KEYFRAMES_HELP)
    flags.DEFINE_multi_string(
        "stills",
        [],
        "Labelled pictures without video: a folder or a tool's export, a colon, and a file of "
        "lines '<sequence> <frame>'.",
    )
    flags.DEFINE_boolean(
        "update",
        False,
        "Trains the segmentation network of --workdir on, with the labels that there are now.",
    )
    flags.DEFINE_integer("update_steps", 100, "How many steps --update trains.")
    command_line.define_processes()
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> None:
    """Reads the flags and runs the stages."""
    config = command_line.read_config(config_flag)
    with command_line.joined_processes():
        _train(config)


def _train(config: Config) -> None:
    from wrp_jax import processes
    from wrp_jax.api.fit import fit
    from wrp_jax.training.stages import check_stages, reads_labels
    from wrp_jax.training.update import check_update

    options = flags.FLAGS
    data, workdir = options.data, options.workdir
    if not workdir:
        name = config_flags.get_config_filename(options["config"])
        workdir = str(Path("runs") / Path(name).stem)
    check_stages(config, workdir)
    if not (data or options.stills):
        raise UserError("--data=FOLDER (or --stills=ROOT:LIST) must be given.")
    if not data and tuple(config.stages) != ("segmentation",):
        raise UserError(
            f"--data is missing: the stages {', '.join(config.stages)} look at video; stills alone "
            "train --config.stages=segmentation, as in configs/segment_folder.py."
        )
    if options.update:
        check_update(config, options.update_steps)
    elif options["update_steps"].present:
        raise UserError("--update_steps has no effect without --update: leave it out.")
    labelled = reads_labels(config.stages)
    _check_flags(config, labelled=labelled)
    with contextlib.ExitStack() as stack:
        test = _test(config, Path(workdir), stack) if config.test else ""
        model = fit(
            data or None,
            config=config,
            workdir=workdir,
            windows=options.windows,
            keyframes=options.keyframes,
            stills=options.stills,
            update=options.update_steps if options.update else 0,
        )
        trained = model.workdir
        assert trained is not None  # there is a --workdir
        if test:
            processes.first(lambda: _score(config, test, trained))
    if options.update or not options.workdir:
        processes.say(f"--workdir={trained} is what was trained.")


def _test(config: Config, workdir: Path, stack: contextlib.ExitStack) -> str:
    """What to score on, checked: of an export its import."""
    from wrp_jax import processes
    from wrp_jax.data.tool_formats.imported import IMPORTED_TEST, imported_list
    from wrp_jax.labelling.score import check_test

    imported = imported_list(
        config.test, workdir, IMPORTED_TEST, flag="--workdir", say=processes.say
    )
    test = processes.first(lambda: stack.enter_context(imported))
    check_test(test, config.stages)
    return test


def _score(config: Config, test: str, workdir: Path) -> None:
    from wrp_jax.labelling.score import SCORES_FILE, score_run

    scores = score_run(config, test, workdir, name=config.test)
    print(
        f"mIoU {scores['miou']:.2f} % on {scores['frames']} frames of {config.test}; see "
        f"{workdir / SCORES_FILE}."
    )


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
