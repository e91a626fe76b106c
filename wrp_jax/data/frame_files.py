"""Frames that lie in files of their own, in formats that every browser shows."""

from __future__ import annotations

from pathlib import Path

from wrp_jax.data.source import VideoSource
from wrp_jax.data.source_digests import FileSource

_SHOWN = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


def frame_file(source: VideoSource, sequence: str, name: str) -> Path | None:
    """The file of a frame, if it holds this frame alone and a browser shows it.

    Args:
      source: the video.
      sequence: name of the sequence.
      name: of the frame.

    Returns:
      The path as the source gives it; None for frames in memory, in archives, or in files of other
      formats.
    """
    if not isinstance(source, FileSource):
        return None
    files, place = source.origin("frames", sequence, name)
    if len(files) != 1 or place or files[0].suffix.lower() not in _SHOWN:
        return None
    return files[0]
