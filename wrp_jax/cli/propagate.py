"""Carries the labels of a few frames to the frames around them.

  wrp propagate --config=folder --data=D --workdir=RUN --output=OUT
  wrp propagate --config=demo
  wrp propagate --data=clip.mp4 --label=000010.png
  wrp propagate --verify --output=OUT

D is a folder of videos with labels, and RUN is what 'wrp train' made of it (--method=motion-only
and --method=static need no RUN). D can also be an export of an annotation tool (see 'wrp import');
it goes to OUT/imported. OUT gets the labels and report.html; 'wrp view OUT' shows it. You can stop
the command at any time: the same command goes on. --dry-run says how much there is to do, and the
time and memory that it takes; --limit=1 labels one window only. If files of a window are damaged,
OUT/failures.jsonl lists it; the command labels the others and ends with exit code 3. --verify
compares all files in OUT with what was written there.

One video: --data is a file (which takes pip install -e ".[video]") or a folder of its frames, and
--label is a label PNG; repeat the flag for several. The number in the name of the PNG is that of
its frame, counted from 0 in a video; for other names write --label=10:some.png. The classes are
those of classes.json beside the PNG, or else one for each id or colour in it. Frames and labels go
to OUT/imported. The networks are trained in OUT/training, with --config=quick unless you name
another; --method=motion-only trains nothing. Without --output, OUT is clip_output for clip.mp4.

Several processes: start the same command in each. They share the sequences, do not talk to each
other, and may run one after the other. On TPU slices, under srun and Open MPI, and in SLURM job
arrays each finds its number; elsewhere give --num_shards and --shard_id. The last one to end
merges; 'wrp merge OUT' does it by hand.

Quality: OUT/quality.csv says how good the labels of each frame are expected to be, without any true
label, and OUT/next_frames.csv which frames to label next ('wrp next OUT'). --min_quality=70 keeps
frames below 70 % mIoU out of the data set in OUT/tfds. --config.propagation.tau=auto chooses τ of
eq. 6 before anything is labelled; OUT/thresholds.csv shows why, and later runs keep the choice.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags

from wrp_jax.cli import command_line, imported_data, shard_flags
from wrp_jax.config import Config
from wrp_jax.files.failures import Failures
from wrp_jax.labelling.request import Request
from wrp_jax.types import UserError

if TYPE_CHECKING:
    from wrp_jax.labelling.plan import Plan
    from wrp_jax.labelling.thresholds import Choice
    from wrp_jax.runs.networks import Networks


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    command_line.define_data()
    command_line.define_label()
    flags.DEFINE_string("workdir", None, "The folder that 'wrp train' wrote (RUN).")
    flags.DEFINE_string("output", None, "The folder for labels, scores and the report.")
    flags.DEFINE_string(
        "method",
        "all",
        "How to label: static, motion-only, semantic-only, semantic-argmax, warp-inpaint or "
        "warp-refine, which is best; all for each of these; or flow-voting.",
    )
    flags.DEFINE_string("windows", None, command_line.WINDOWS_HELP)
    flags.DEFINE_string("keyframes", None, command_line.KEYFRAMES_HELP)
    flags.DEFINE_integer(
        "horizon",
        None,
        "How many frames away from a labelled one to label. Default: as the config says.",
    )
    flags.DEFINE_float(
        "min_quality", None, "Leaves frames whose expected mIoU is lower, in %, out of OUT/tfds."
    )
    flags.DEFINE_boolean(
        "choose_tau",
        False,
        "Short for --config.propagation.tau=auto: chooses τ by labels that are left out.",
    )
    flags.DEFINE_boolean(
        "verify", False, "Compares the files in --output with what was written there."
    )
    command_line.define_partial("window", "windows")
    shard_flags.define_shards()
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> int:
    """Reads the flags and labels."""
    options = flags.FLAGS
    if options.verify:
        verify_output()
        return 0
    if options.data and not options.label:
        from wrp_jax.data.tool_formats.imported import refuse_film

        refuse_film(options.data)  # before a config is asked for, which it would not help
    config = command_line.read_config(config_flag)
    data, output = options.data or config.data, options.output
    if not data or (options.label and not options.data):
        raise UserError("--data is missing.")
    if not output:
        if options.data and not options.label:
            raise UserError("--output is missing.")
        named = options.data or config_flags.get_config_filename(flags.FLAGS["config"])
        output = f"{Path(named).resolve().stem}_output"
    request = Request(
        data=data,
        output=Path(output),
        method=options.method,
        windows=options.windows,
        keyframes=options.keyframes,
        horizon=options.horizon,
        limit=options.limit,
        dry_run=options.dry_run,
        min_quality=options.min_quality,
        choose_tau=options.choose_tau,
        shard=shard_flags.shard(),
    )
    workdir = Path(options.workdir) if options.workdir else None
    failures = Failures(request.output, request.shard, fail_fast=options.fail_fast)
    train = not options.data or bool(options.label)
    with imported_data.imported_request(request, options.label) as request:
        propagate(config, request, workdir=workdir, train=train, failures=failures)
    return 0 if options.dry_run else command_line.failed(failures, request.output)


def verify_output() -> None:
    """Compares every file of ``--output`` with what was written there; writes nothing.

    Raises:
      UserError: files differ; each has been named on stderr.
    """
    from wrp_jax.files.verify import verify

    command_line.require("output")
    output = Path(flags.FLAGS.output)
    count, faults = verify(output)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        raise UserError(
            f"{output}: {len(faults)} of {count} files are not as they were written; the command "
            "that wrote them makes them again."
        )
    print(f"{output}: all {count} files are as they were written.")


def propagate(
    config: Config,
    request: Request,
    *,
    workdir: Path | None,
    train: bool = False,
    failures: Failures | None = None,
) -> dict[str, Any]:
    """Labels what the request asks for.

    Args:
      config: all options.
      request: what to label and where to write.
      workdir: of ``train.py``; None for methods that need none.
      failures: lists the windows whose files cannot be read; those of the output if absent.
      train: without a workdir, trains the stages of the config in ``OUTPUT/training`` first.

    Returns:
      What ``metrics.json`` holds; nothing where the request is for a dry run, or for a shard and
      others are not finished.

    Raises:
      UserError: a mistake in what was given; nothing has been written then. Another run writes
        to the same output.
    """
    from wrp_jax.data.known_labels import KnownLabels
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.files.output import check_apart
    from wrp_jax.files.shards import remove_shards
    from wrp_jax.labelling.finish import finish
    from wrp_jax.labelling.plan import TRAINING, check_free, claim, make_plan
    from wrp_jax.labelling.run import label_windows
    from wrp_jax.labelling.thresholds import write_choice
    from wrp_jax.motion.build import reads_flow_files
    from wrp_jax.motion.precomputed import check_flows
    from wrp_jax.runs.networks import moves, stages_to_train
    from wrp_jax.runs.workdir import is_finished

    check_apart(request.output, workdir)
    plan = make_plan(config, request)
    if plan.shard.is_all:
        check_free(plan)
    if reads_flow_files(config.motion) and moves(plan.methods):
        windows = [job.window for job in plan.own]
        check_flows(Path(config.motion.folder), plan.source, windows)
    stages = stages_to_train(plan.methods, config) if train and workdir is None else ()
    if stages and not plan.shard.is_all:
        raise UserError("--workdir is missing: shards read what wrp train made, and train nothing.")
    training = dataclasses.replace(config, stages=stages)
    networks = None
    if stages:
        from wrp_jax.training.stages import check_stages

        check_stages(training, plan.output / TRAINING)
    else:
        # Before the folder is made: weights may be missing.
        networks = _load(plan, workdir)
    plan, choice = _with_tau(plan, networks, request)
    if request.dry_run:
        return _dry_run(plan, networks, stages, request, workdir)
    if not plan.shard.is_all:
        assert networks is not None  # nothing is trained
        return _propagate_shard(plan, networks, request, workdir, failures, choice)
    with sole_writer(plan.output, "--output"):
        if networks is None:
            from wrp_jax.api.fit import fit

            workdir = plan.output / TRAINING
            known = KnownLabels(plan.source, plan.around)
            if not is_finished(workdir, training, known, stages):
                print(_after_training(plan, request.limit), file=sys.stderr)
                fit(plan.source, config=training, windows=plan.around, workdir=workdir)
            networks = _load(plan, workdir)
            plan, choice = _with_tau(plan, networks, request)
        claim(plan, networks.digest)
        if choice is not None:
            write_choice(plan.output, choice)
        failures = Failures(plan.output) if failures is None else failures
        results = label_windows(plan, networks, failures, request.limit)
        metrics = finish(plan, results, networks.trained_on, len(failures))
        remove_shards(plan.output)  # of an earlier run, which this one has gone on with
    _say(metrics, plan.output)
    return metrics


def _with_tau(
    plan: Plan, networks: Networks | None, request: Request
) -> tuple[Plan, Choice | None]:
    """The plan with the τ that was chosen, or is chosen now, where that is asked for.

    Without networks, or for a dry run, nothing is chosen that has not been chosen before.
    """
    from wrp_jax.labelling.thresholds import check_choice, choose, read_choice, with_tau

    if not request.choose_tau:
        return plan, None
    check_choice(plan)  # before anything is trained
    choice = read_choice(plan.output)
    if choice is None and networks is not None and not request.dry_run:
        choice = choose(plan, networks)
    return (plan if choice is None else with_tau(plan, choice)), choice


def _after_training(plan: Plan, limit: int | None) -> str:
    from wrp_jax.labelling.forecast import labelling_seconds
    from wrp_jax.progress import duration

    seconds = duration(labelling_seconds(plan, plan.own[:limit]))
    return f"labelling takes about {seconds} where nothing else runs, after the training"


def _say(metrics: dict[str, Any], output: Path) -> None:
    """The scores on stdout, what a reader of them must know on stderr."""
    from wrp_jax.labelling.finish import scores_text

    if metrics["windows"]:
        print(scores_text(metrics))
    for note in metrics["notes"]:
        print(note, file=sys.stderr)
    if metrics["windows"]:
        print(f"{output / 'report.html'} shows the labels.", file=sys.stderr)


def _propagate_shard(
    plan: Plan,
    networks: Networks,
    request: Request,
    workdir: Path | None,
    failures: Failures | None,
    choice: Choice | None,
) -> dict[str, Any]:
    """Labels a shard, and merges all where it is the last one to end."""
    from wrp_jax.files.shards import work_in_shards
    from wrp_jax.labelling.merging import job_of, merge, unfinished
    from wrp_jax.labelling.plan import check_claimed, check_free, claim
    from wrp_jax.labelling.run import label_windows
    from wrp_jax.labelling.thresholds import write_choice

    def begin() -> None:
        check_free(plan)
        claim(plan, networks.digest)
        if choice is not None:
            write_choice(plan.output, choice)

    metrics = work_in_shards(
        plan.output,
        plan.shard,
        job_of(plan, request, workdir),
        begin=begin,
        check=lambda: check_claimed(plan, networks.digest),
        work=lambda: label_windows(plan, networks, failures, request.limit),
        unfinished=lambda: unfinished(plan),
        merge=lambda: merge(plan, networks),
    )
    if metrics is None:
        return {}
    _say(metrics, plan.output)
    return metrics


def merge_shards(output: Path) -> dict[str, Any]:
    """Merges the shards of an output by the command that they have noted there; labels nothing.

    Args:
      output: the folder, absolute: the command is read in the folder that it was given in.

    Returns:
      What ``metrics.json`` holds.

    Raises:
      UserError: no shards, some that are not finished, or a process that is still at work.
    """
    from wrp_jax.files.lock import merging_writer
    from wrp_jax.files.shards import remove_shards
    from wrp_jax.labelling.merging import merge, stored_command
    from wrp_jax.labelling.plan import check_claimed, make_plan

    stored = stored_command(output)
    if stored.folder.is_dir():
        os.chdir(stored.folder)
    plan = make_plan(stored.config, stored.request)
    networks = _load(plan, stored.workdir)
    check_claimed(plan, networks.digest)
    _check_finished(plan)  # nothing is touched where it is too early
    with merging_writer(output, "--output"):
        _check_finished(plan)
        metrics = merge(plan, networks)
        remove_shards(output)
    _say(metrics, output)
    return metrics


def _check_finished(plan: Plan) -> None:
    from wrp_jax.labelling.merging import missing_shards, unfinished

    missing = unfinished(plan)
    if missing:
        raise missing_shards(plan, missing)


def _dry_run(
    plan: Plan,
    networks: Networks | None,
    stages: Sequence[str],
    request: Request,
    workdir: Path | None,
) -> dict[str, Any]:
    from wrp_jax.files.shards import check_job
    from wrp_jax.labelling.dry_run import describe_labels
    from wrp_jax.labelling.merging import job_of
    from wrp_jax.labelling.plan import check_claimed

    if networks is not None:
        check_claimed(plan, networks.digest)
    if not plan.shard.is_all:
        check_job(plan.output, job_of(plan, request, workdir))
    if stages:
        from wrp_jax.data.known_labels import KnownLabels
        from wrp_jax.labelling.plan import TRAINING
        from wrp_jax.training.forecast import foretell

        known, folder = KnownLabels(plan.source, plan.around), plan.output / TRAINING
        training = dataclasses.replace(plan.config, stages=tuple(stages))
        print(f"first trains: {', '.join(stages)}")
        command_line.print_lines(
            filter(None, [foretell(training, known, plan.source, plan.around, folder)])
        )
    command_line.print_lines(describe_labels(plan, networks, request.limit))
    return {}


def _load(plan: Plan, workdir: Path | None) -> Networks:
    from wrp_jax.api.model import Model

    model = Model(plan.config, plan.source.classes, workdir)
    return model.networks(plan.methods, plan.source, [job.window for job in plan.own])
