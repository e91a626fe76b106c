"""Merges the shards of an output that no process is left to merge.

  wrp merge OUT
  wrp merge --output=OUT

The last shard of wrp propagate to end does it by itself; this is for when that one was killed on
the way. OUT then holds what one process leaves behind: scores, report and TFDS data set. Shards
that are not finished are named, and nothing is written (exit code 2).
"""

from __future__ import annotations

import os
from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.files.failures import Failures

POSITIONAL = ("output",)


def define_flags() -> None:
    """Defines the flags."""
    flags.DEFINE_string("output", None, "OUT, where the shards are; or the only argument.")


def main() -> int:
    """Reads the flags and merges."""
    from wrp_jax.cli.propagate import merge_shards

    command_line.require("output")
    output = Path(os.path.abspath(flags.FLAGS.output))
    merge_shards(output)
    return command_line.failed(Failures(output), output)
