"""``wrp predict``."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.labelling.predict import FORMATS, predict
from wrp_jax.types import UserError


def main(config_flag: flags.FlagHolder) -> None:
    """The command line."""
    options = flags.FLAGS
    config = command_line.read_config(config_flag)
    for name in ("data", "output"):
        if not options[name].value:
            raise UserError(f"--{name}=FOLDER is missing.")
    output = Path(options.output)
    workdir = Path(options.workdir) if options.workdir else None
    count = predict(config, options.data, workdir, output, options.format)
    print(f"Predictions of {count} frames written to {output}.")


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    flags.DEFINE_string("data", None, "A folder, tfds:NAME/CONFIG:SPLIT[@dir], synthetic:….")
    flags.DEFINE_string("workdir", None, "What train.py made; or segmentation.weights.")
    flags.DEFINE_string("output", None, "Where the predictions go.")
    flags.DEFINE_enum("format", "png", FORMATS, "png: labels and confidence; npz: all there is.")
    return command_line.define_config()


if __name__ == "__main__":
    sys.exit(command_line.run(functools.partial(main, define_flags())))
