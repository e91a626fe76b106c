"""Writes a public data set, as its authors lay it out, as a folder to train on.

  wrp convert --set=cityscapes --data=CITYSCAPES --output=D

CITYSCAPES is the set as it is unpacked; wrp_jax/data/public_sets/<set>.py says what has to lie
there. Frames are linked, labels written with the ids of D/classes.json. D/splits/*.txt list the
frames, and the command prints what to give as --stills and --windows. Stopped at any time, the same
command goes on.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line


def define_flags() -> None:
    """Defines the flags."""
    from wrp_jax.data.public_sets.convert import PUBLIC_SETS

    flags.DEFINE_enum("set", None, sorted(PUBLIC_SETS), "Which data set it is.")
    flags.DEFINE_string("data", None, "The data set, unpacked.")
    flags.DEFINE_string("output", None, "The folder to write.")


def main() -> None:
    """Reads the flags and converts."""
    from wrp_jax.data.public_sets.convert import convert_set

    command_line.require("set", "data", "output")
    options = flags.FLAGS
    print(convert_set(options.set, Path(options.data), Path(options.output)))
