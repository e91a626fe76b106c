"""Writes a folder of video as a TFDS data set in array_record.

    python -m wrp_jax.cli.build --data=FOLDER --output=DIR [--name=NAME] [--dataset=camvid]

The result is read with ``--data=tfds:folder_video/NAME:train@DIR``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wrp_jax.data.folder import open_folder
from wrp_jax.data.source import validate
from wrp_jax.data.tfds.builders import Camvid, ClipBuilder, FolderVideo
from wrp_jax.data.tfds.prepare import exit_code, prepare
from wrp_jax.data.windows import whole_sequences
from wrp_jax.files.output import check_output


def build(data: Path, output: Path, name: str | None = None, dataset: str = "folder") -> str:
    """Builds the data set; what a killed build has left is removed first.

    Args:
      data: the folder.
      output: TFDS data directory to write into.
      name: configuration name, the folder's own by default; folder data sets only.
      dataset: ``folder`` or ``camvid``.

    Returns:
      What to give as ``--data`` to read it, one per split.

    Raises:
      UserError: bad input, before anything is written; or the data set is there already.
    """
    source = open_folder(data)
    check_output(output, data)
    labels = [(s, name) for s in source.sequences for name in sorted(source.label_names(s))]
    validate(source, whole_sequences(source), labels)
    builder: ClipBuilder
    if dataset == "camvid":
        builder = Camvid(data_dir=str(output))
        builder.open_manual(data)
    else:
        builder = FolderVideo(folder=data, name=name, data_dir=str(output))
    return prepare(builder, data, output)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit code 2 and one sentence for mistakes of the user."""
    parser = argparse.ArgumentParser(prog="python -m wrp_jax.cli.build", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of video")
    parser.add_argument("--output", type=Path, required=True, help="TFDS data directory")
    parser.add_argument("--name", help="name of the data set, the folder's by default")
    parser.add_argument("--dataset", choices=("folder", "camvid"), default="folder")
    flags = parser.parse_args(argv)
    return exit_code(lambda: build(flags.data, flags.output, flags.name, flags.dataset))


if __name__ == "__main__":
    sys.exit(main())
