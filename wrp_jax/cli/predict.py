"""Writes what the segmentation network says of every frame to files.

  wrp predict --config=folder --data=D --workdir=RUN --output=DIR
  wrp predict --config=folder --config.segmentation.weights=FILE --data=D --output=DIR --format=npz

Published weights need no --workdir. The files are read with
--config.segmentation.name=precomputed --config.segmentation.folder=DIR. Stopped at any time, the
same command goes on. --dry-run says how much there is to do, and what it takes. Several processes
share the sequences as those of wrp propagate do.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line, shard_flags
from wrp_jax.cli.imported_data import imported_data
from wrp_jax.files.failures import Failures


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    from wrp_jax.segmentation.predictions import FORMATS

    command_line.define_data()
    flags.DEFINE_string(
        "workdir", None, "The folder that 'wrp train' wrote; or give segmentation.weights."
    )
    flags.DEFINE_string("output", None, "Where the predictions go.")
    flags.DEFINE_enum("format", "png", FORMATS, "png: labels and confidence; npz: all there is.")
    command_line.define_partial("frame", "sequences")
    shard_flags.define_shards()
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> int:
    """Reads the flags and predicts."""
    from wrp_jax.files.output import check_run
    from wrp_jax.labelling.predict import predict, prepare

    options, config = flags.FLAGS, command_line.read_config(config_flag)
    command_line.require("data", "output")
    output = Path(options.output)
    workdir = Path(options.workdir) if options.workdir else None
    shard = shard_flags.shard()
    with imported_data(options.data, output, shard, dry_run=options.dry_run) as data:
        if options.dry_run:
            from wrp_jax.labelling.dry_run import describe_predictions

            what = prepare(config, data, workdir, output, options.format, shard)
            check_run(output, what.run)
            command_line.print_lines(
                describe_predictions(
                    what.segment, what.source, output, options.format, options.limit, shard,
                    what.run,
                )
            )  # fmt: skip
            return 0
        failures = Failures(output, shard, fail_fast=options.fail_fast)
        count = predict(
            config, data, workdir, output, options.format, failures, options.limit, shard
        )
    print(f"Predictions of {count} frames written to {output}.")
    return command_line.failed(failures, output)
