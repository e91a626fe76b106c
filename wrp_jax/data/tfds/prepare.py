"""Writing TFDS data sets: one writer at a time, whole data sets or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from wrp_jax.files.lock import sole_writer
from wrp_jax.machine import cannot_write
from wrp_jax.types import UserError


def prepare(builder: tfds.core.DatasetBuilder, data: Path, output: Path) -> str:
    """Builds a data set; what a killed build has left is removed first.

    Args:
      builder: of the data set.
      data: what it reads.
      output: TFDS data directory that the builder writes into.

    Returns:
      What to give as ``--data`` to read it, one per split.

    Raises:
      UserError: the data set is there already, or another process builds it; what the builder
        finds wrong with the input.
    """
    target = Path(builder.data_dir)
    _check_free(target)
    with sole_writer(target.parent, "--output"):
        _check_free(target)
        try:
            for left in target.parent.glob(f"incomplete.*_{target.name}"):
                shutil.rmtree(left)  # by a build that was killed: nobody else builds here now
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=str(data))
            )
        except OSError as error:
            raise cannot_write(output, error) from error
    full_name = target.parent.relative_to(Path(builder.data_dir_root))
    return " ".join(f"tfds:{full_name}:{split}@{output}" for split in builder.info.splits)


def _check_free(target: Path) -> None:
    if target.exists():
        raise UserError(f"{target} is there already: remove it or choose another name.")
