"""Writes a published flow set as a TFDS data set in array_record.

    python -m wrp_jax.cli.build_flow --dataset=NAME --data=FOLDER --output=DIR [--config=C]

FOLDER is the set as published (``wrp_jax/data/flow_sets/builders.py`` says how). The result is
read with ``--data=tfds:NAME/C:train@DIR``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wrp_jax.data.flow_sets.builders import BUILDERS
from wrp_jax.data.tfds.prepare import exit_code, prepare
from wrp_jax.files.output import check_output
from wrp_jax.types import UserError


def build(dataset: str, data: Path, output: Path, config: str | None = None) -> str:
    """Builds the data set.

    Args:
      dataset: a key of ``builders.BUILDERS``.
      data: the folder as published.
      output: TFDS data directory to write into.
      config: ``cleanpass`` or ``finalpass``, ``clean`` or ``final``; the first by default.

    Returns:
      What to give as ``--data`` to read it, one per split.

    Raises:
      UserError: bad input, or the data set is there already.
    """
    check_output(output, data)
    kind = BUILDERS[dataset]
    names = [option.name for option in kind.BUILDER_CONFIGS]
    if config is not None and config not in names:
        raise UserError(
            f"--config={config}: {dataset} has {', '.join(names) or 'no configurations'}."
        )
    chosen = config or (names[0] if names else None)
    builder = kind(config=chosen, data_dir=str(output))
    builder.files(data)
    return prepare(builder, data, output)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit code 2 and one sentence for mistakes of the user."""
    parser = argparse.ArgumentParser(prog="python -m wrp_jax.cli.build_flow", description=__doc__)
    parser.add_argument("--dataset", choices=sorted(BUILDERS), required=True)
    parser.add_argument("--data", type=Path, required=True, help="the set as published")
    parser.add_argument("--output", type=Path, required=True, help="TFDS data directory")
    parser.add_argument("--config", help="clean or final, cleanpass or finalpass")
    flags = parser.parse_args(argv)
    return exit_code(lambda: build(flags.dataset, flags.data, flags.output, flags.config))


if __name__ == "__main__":
    sys.exit(main())
