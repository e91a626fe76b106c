"""What the player of the report reads: the frames of a clip, and the clips in the order of need.

The page holds a line per clip. The frames of a clip stand in a script of their own,
``OUT/<sequence>/frames.js``, which the page loads when the clip is looked at: a browser that opens
the page from a disk loads scripts and pictures, and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import posixpath
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

CLIP_SCRIPT = "frames.js"
"""In the folder of each sequence."""
SCRIPT_BEGIN = "wrpClip("


@dataclasses.dataclass(frozen=True)
class FrameRow:
    """One frame of a clip.

    Attributes:
      sequence, name: the frame.
      is_key: labelled by hand.
      confidence: mean over the picture, 0 … 1; None where the frame has no label.
      nearest: place in the clip of the labelled frame nearest to it.
      is_scored: there is a true label that its own was compared with.
      picture: file of the frame that a browser can show; None: ``pictures/<frame>.jpg``.
      miou: estimated, %; None where nothing is known.
      miou_low, miou_high: what it is held to lie between.
      doubt: why a person should look at the frame; None where nothing speaks for it.
    """

    sequence: str
    name: str
    is_key: bool
    confidence: float | None
    nearest: int = 0
    is_scored: bool = False
    picture: Path | None = None
    miou: float | None = None
    miou_low: float | None = None
    miou_high: float | None = None
    doubt: str | None = None


@dataclasses.dataclass(frozen=True)
class Clip:
    """All frames of a sequence in order, those without a label too.

    Attributes:
      sequence: its name.
      frames: one row each.
      has_source: there are pictures of where each label comes from, ``source/<frame>.png``.
    """

    sequence: str
    frames: tuple[FrameRow, ...]
    has_source: bool = False

    @property
    def new(self) -> list[FrameRow]:
        """Frames that the program has labelled."""
        return [f for f in self.frames if f.confidence is not None and not f.is_key]


def clip_script(clip: Clip, output: Path) -> str:
    """The script of a clip.

    Args:
      clip: its frames.
      output: the folder of the page: pictures elsewhere are given by their way from it.
    """
    frames = clip.frames
    content: dict[str, Any] = {
        "sequence": clip.sequence,
        "names": [f.name for f in frames],
        "keys": [i for i, f in enumerate(frames) if f.is_key],
        "scored": [i for i, f in enumerate(frames) if f.is_scored],
        "confidence": [None if f.confidence is None else round(100 * f.confidence, 1)
                       for f in frames],
        "nearest": [f.nearest for f in frames],
        "source": clip.has_source,
    }  # fmt: skip
    if any(f.miou is not None for f in frames):
        content["miou"] = [_rounded(f.miou) for f in frames]
        content["range"] = [[_rounded(f.miou_low), _rounded(f.miou_high)] for f in frames]
    content["doubtful"] = {str(i): f.doubt for i, f in enumerate(frames) if f.doubt is not None}
    if any(f.picture for f in frames):
        content["pictures"] = _picture_urls([f.picture for f in frames], output)
    return f"{SCRIPT_BEGIN}{json.dumps(content, separators=(',', ':'))});\n"


def read_clip_script(text: str) -> dict[str, Any]:
    """The content of ``clip_script``.

    Raises:
      ValueError: it is none.
    """
    if not text.startswith(SCRIPT_BEGIN):
        raise ValueError("no script of a clip")
    content = json.loads(text.removeprefix(SCRIPT_BEGIN).rstrip().removesuffix(");"))
    if not isinstance(content, dict):
        raise ValueError("no script of a clip")
    return content


def _picture_urls(pictures: Sequence[Path | None], output: Path) -> dict[str, Any]:
    """Where the frames lie, from the folder of the page and from the root of the disk."""
    absolute = [None if path is None else os.path.abspath(path) for path in pictures]
    folders = {os.path.dirname(path) for path in absolute if path is not None}
    folder = os.path.commonpath(folders)
    try:
        relative: str | None = os.path.relpath(folder, os.path.abspath(output))
    except ValueError:  # another drive
        relative = None
    return {
        "folder": None if relative is None else _url(relative),
        "address": Path(folder).as_uri(),
        "files": [None if path is None else _url(os.path.relpath(path, folder))
                  for path in absolute],
    }  # fmt: skip


def _url(path: str) -> str:
    return urllib.parse.quote(path.replace(os.sep, posixpath.sep))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def clip_line(clip: Clip) -> dict[str, Any]:
    """What the list of clips says of one: JSON values, percentages."""
    new = clip.new
    sure = [100 * f.confidence for f in new if f.confidence is not None]
    rated = [f.miou for f in new if f.miou is not None]
    line: dict[str, Any] = {
        "sequence": clip.sequence,
        "frames": len(clip.frames),
        "keys": sum(f.is_key for f in clip.frames),
        "unlabelled": sum(f.confidence is None for f in clip.frames),
        "doubtful": sum(f.doubt is not None for f in new),
    }
    for name, values in (("confidence", sure), ("miou", rated)):
        if values:
            line[name] = [round(float(np.mean(values)), 1), round(min(values), 1)]
    return line


def worst_first(clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """A line per clip, by mean estimated mIoU, by mean confidence where there is no estimate."""
    lines = [clip_line(clip) for clip in clips]
    measure = "miou" if any("miou" in line for line in lines) else "confidence"
    best = [101.0, 101.0]  # nothing to look after: all is labelled by hand
    return sorted(lines, key=lambda line: line.get(measure, best)[0])


def least_sure(clips: Sequence[Clip], most: int) -> list[FrameRow]:
    """The frames to look at first: the lowest estimates, or confidences where there are none."""
    new = [frame for clip in clips for frame in clip.new]

    rated = [f for f in new if f.miou is not None]
    if rated:
        return sorted(rated, key=lambda f: f.miou or 0.0)[:most]
    return sorted(new, key=lambda f: f.confidence or 0.0)[:most]
