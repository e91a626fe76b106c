"""Writes a folder of video as a TFDS data set in array_record."""

from __future__ import annotations

from pathlib import Path

from wrp_jax.data.folder import open_folder
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.source import validate
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.tfds.builders import Camvid, ClipBuilder, FolderVideo
from wrp_jax.data.tfds.prepare import prepare
from wrp_jax.data.windows import whole_sequences
from wrp_jax.files.digests import FileDigests
from wrp_jax.files.output import check_output
from wrp_jax.files.records import fingerprint

CLIP_SETS = ("folder", "camvid")
"""Kinds of folders: any, or CamVid, whose splits are its authors'."""


def build_clips(kind: str, data: Path, output: Path, name: str | None = None) -> str:
    """Builds the data set, unless it is there already, of the same frames and labels.

    Args:
      kind: one of ``CLIP_SETS``.
      data: the folder.
      output: TFDS data directory to write into.
      name: configuration name, the folder's own by default; folder data sets only.

    Returns:
      What to give as ``--data`` to read it, one per split.

    Raises:
      UserError: bad input, before anything is written; or see ``prepare``.
    """
    source = open_folder(data)
    check_output(output, data)
    labels = [(s, name) for s in source.sequences for name in sorted(source.label_names(s))]
    validate(source, whole_sequences(source), labels)
    if kind == "camvid":
        Camvid(data_dir=str(output)).open_manual(data)

    def make() -> ClipBuilder:
        if kind == "camvid":
            return Camvid(data_dir=str(output))
        return FolderVideo(folder=data, name=name, data_dir=str(output))

    def made_from(files: FileDigests) -> str:
        digests = SourceDigests(source, files)
        return fingerprint(
            classes_to_json(source.classes),
            [(s, digests.frames(s, source.frame_names(s))) for s in source.sequences],
            [(s, name, digests.label(s, name, source.label)) for s, name in labels],
        )

    return prepare(make, data, output, made_from)
