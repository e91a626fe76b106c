"""Writes optical flow between the frames of a video to files.

  wrp flow --config=folder --data=D --output=DIR
  wrp flow --config=folder --config.motion.name=raft_large --config.motion.weights=FILE \\
      --data=D --output=DIR --format=npz --apart=1,3

The files are read with --config.motion.name=precomputed --config.motion.folder=DIR. Those that are
there already are kept: the same command goes on where it was stopped. --dry-run says how much there
is to do, and what it takes. Several processes share the sequences as those of wrp propagate do.
"""

from __future__ import annotations

import functools
from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line, shard_flags
from wrp_jax.cli.imported_data import imported_data
from wrp_jax.config import MotionConfig
from wrp_jax.files.shards import Shard
from wrp_jax.types import UserError


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    from wrp_jax.data.flow_files import SUFFIXES

    command_line.define_data()
    flags.DEFINE_string("output", None, "Where the flow files go.")
    flags.DEFINE_enum("format", "flo", [s[1:] for s in SUFFIXES], "Of the files.")
    flags.DEFINE_list("apart", ["1"], "Distances in frames: 1 is the neighbours.")
    command_line.define_partial("sequence", "sequences")
    shard_flags.define_shards()
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> int:
    """Reads the flags and writes the flow."""
    options = flags.FLAGS
    config = command_line.read_config(config_flag).motion
    command_line.require("data", "output")
    apart = [int(text) if text.isdecimal() else 0 for text in options.apart]
    if min(apart, default=0) < 1:
        raise UserError(f"--apart={','.join(options.apart)}: give distances in frames, as in 1,3.")
    output = Path(options.output)
    shard, given = shard_flags.shard(), options.data
    with imported_data(given, output, shard, labelled=False, dry_run=options.dry_run) as data:
        return _write_flow(config, data, output, apart, shard, labelled=data == given)


def _write_flow(
    config: MotionConfig,
    data: str,
    output: Path,
    apart: list[int],
    shard: Shard,
    *,
    labelled: bool,
) -> int:
    from wrp_jax.data.open_source import input_folder, open_source
    from wrp_jax.data.source import validate
    from wrp_jax.data.split import job_of_source, split_source
    from wrp_jax.data.windows import whole_sequences
    from wrp_jax.files.failures import FAILURES_FILE, Failures
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.files.output import check_output, check_run, check_sequences, claim_output
    from wrp_jax.files.shards import remove_shards, work_in_shards
    from wrp_jax.files.verify import check_free
    from wrp_jax.motion.build import build_motion
    from wrp_jax.motion.dump import dump, settings, unfinished
    from wrp_jax.progress import waiting

    options = flags.FLAGS
    source = open_source(data, labelled=labelled)
    check_output(output, input_folder(data))
    check_sequences(source.name, source.sequences, [FAILURES_FILE])
    longest = max(len(source.frame_names(sequence)) for sequence in source.sequences)
    if max(apart) >= longest:
        raise UserError(
            f"--apart={max(apart)}: the longest sequence of {source.name} has {longest} frames; "
            "give smaller distances."
        )
    own = split_source(source, shard.count)[shard.index]
    check_free(output, own)
    validate(source, whole_sequences(source, own), labels=())
    run, suffix = settings(config, options.format), f".{options.format}"
    motion = build_motion(config)
    if options.dry_run:
        from wrp_jax.labelling.dry_run import describe_flow

        check_run(output, run)
        command_line.print_lines(
            describe_flow(
                motion,
                source,
                output,
                suffix=suffix,
                apart=apart,
                limit=options.limit,
                shard=shard,
                run=run,
            )
        )
        return 0
    write = functools.partial(dump, motion, source, output, suffix=suffix, apart=apart)
    failures = Failures(output, shard, fail_fast=options.fail_fast)
    counts = []
    with waiting("computing optical flow"):
        if shard.is_all:
            with sole_writer(output, "--output"):
                claim_output(output, run)
                counts.append(write(failures=failures, limit=options.limit))
                remove_shards(output)
        else:
            work_in_shards(
                output,
                shard,
                job_of_source(data, source, apart),
                begin=lambda: claim_output(output, run),
                check=lambda: check_run(output, run),
                work=lambda: counts.append(
                    write(failures=failures, limit=options.limit, shard=shard)
                ),
                unfinished=lambda: unfinished(source, output, suffix, apart, shard.count),
                merge=lambda: write(limit=0),
            )
    print(f"{sum(counts)} flow files written to {output}.")
    return command_line.failed(failures, output)
