"""Writes a folder of video as a TFDS data set in array_record."""

from __future__ import annotations

from pathlib import Path

from wrp_jax.data.folder import open_folder
from wrp_jax.data.source import validate
from wrp_jax.data.tfds.builders import Camvid, ClipBuilder, FolderVideo
from wrp_jax.data.tfds.prepare import prepare
from wrp_jax.data.windows import whole_sequences
from wrp_jax.files.output import check_output

CLIP_SETS = ("folder", "camvid")
"""Kinds of folders: any, or CamVid, whose splits are its authors'."""


def build_clips(kind: str, data: Path, output: Path, name: str | None = None) -> str:
    """Builds the data set; what a killed build has left is removed first.

    Args:
      kind: one of ``CLIP_SETS``.
      data: the folder.
      output: TFDS data directory to write into.
      name: configuration name, the folder's own by default; folder data sets only.

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
    if kind == "camvid":
        builder = Camvid(data_dir=str(output))
        builder.open_manual(data)
    else:
        builder = FolderVideo(folder=data, name=name, data_dir=str(output))
    return prepare(builder, data, output)
