"""Sources by their name on a command line."""

from __future__ import annotations

from pathlib import Path

from wrp_jax.data.source import VideoSource


def open_source(spec: str, *, labelled: bool = True) -> VideoSource:
    """Opens a source.

    Args:
      spec: a folder; ``tfds:NAME/CONFIG:SPLIT`` or ``tfds:NAME/CONFIG:SPLIT@DATA_DIR``; or
        ``synthetic:KEY=VALUE,...``.
      labelled: False where no label will be read: a folder then needs no ``classes.json``.

    Raises:
      UserError: there is no such source, or its layout is broken.
    """
    if spec.startswith("tfds:"):
        from wrp_jax.data.tfds.source import open_tfds

        return open_tfds(spec)
    if spec == "synthetic" or spec.startswith("synthetic:"):
        from wrp_jax.data.synthetic.source import open_synthetic

        return open_synthetic(spec.partition(":")[2])
    from wrp_jax.data.folder import open_folder

    return open_folder(Path(spec), labelled=labelled)


def input_folder(spec: str) -> Path | None:
    """The folder that a source is read from, as far as its name tells; None: from none."""
    if spec.startswith("tfds:"):
        folder = spec.partition("@")[2]
        return Path(folder) if folder else None
    return None if spec == "synthetic" or spec.startswith("synthetic:") else Path(spec)
