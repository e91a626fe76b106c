"""Writes a published flow set as a TFDS data set in array_record.

    python -m wrp_jax.data.flow_sets.build --dataset=NAME --data=FOLDER --output=DIR [--config=C]

FOLDER is the set as published (``wrp_jax/data/flow_sets/builders.py`` says how). The result is
read with ``--data=tfds:NAME/C:train@DIR``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from wrp_jax.data.flow_sets.builders import BUILDERS
from wrp_jax.data.writers import check_output
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
    if Path(builder.data_dir).exists():
        raise UserError(f"{builder.data_dir} is there already: remove it to build it again.")
    options = tfds.download.DownloadConfig(manual_dir=str(data))
    try:
        builder.download_and_prepare(download_config=options)
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror or error}.") from error
    full_name = Path(builder.data_dir).parent.relative_to(Path(builder.data_dir_root))
    return " ".join(f"tfds:{full_name}:{split}@{output}" for split in builder.info.splits)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit code 2 and one sentence for mistakes of the user."""
    parser = argparse.ArgumentParser(
        prog="python -m wrp_jax.data.flow_sets.build", description=__doc__
    )
    parser.add_argument("--dataset", choices=sorted(BUILDERS), required=True)
    parser.add_argument("--data", type=Path, required=True, help="the set as published")
    parser.add_argument("--output", type=Path, required=True, help="TFDS data directory")
    parser.add_argument("--config", help="clean or final, cleanpass or finalpass")
    flags = parser.parse_args(argv)
    try:
        print(build(flags.dataset, flags.data, flags.output, flags.config))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
