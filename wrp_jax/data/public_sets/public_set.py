"""What a reader of a public data set says about it: its classes, its pictures and its lists.

A reader looks at names alone, so that a missing file is told before anything is written; pixels
are read by ``convert``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wrp_jax.types import ClassMap, UserError


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A picture that lies in no file of its own.

    Attributes:
      where: what to name in messages.
      file: that it is read from.
      read: gives a frame, uint8 ``[H, W, 3]`` RGB, or ids, integers ``[H, W]``.
      described_in: further files that it is made from.
      size: height and width, where they are known before.
    """

    where: str
    file: Path
    read: Callable[[], np.ndarray]
    described_in: tuple[Path, ...] = ()
    size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Packed:
    """A picture's file in an archive, which is written as it is.

    Attributes:
      where: what to name in messages.
      file: the archive.
      suffix: of the picture's file.
      read: gives its bytes.
      size: so many they are.
    """

    where: str
    file: Path
    suffix: str
    read: Callable[[], bytes]
    size: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """One frame of a public data set.

    Attributes:
      sequence: the sequence that it goes to.
      name: its name there, of the frame and of the label.
      frame: its file, which is linked, or what is written.
      label: the ids of the set, None where the frame has none.
    """

    sequence: str
    name: str
    frame: Path | Pixels | Packed
    label: Path | Pixels | None = None


@dataclasses.dataclass(frozen=True)
class PublicSet:
    """A public data set, found on disk.

    Attributes:
      classes: with the ids to write.
      ids: from every id that labels of the set may hold to the one to write.
      pictures: all of them; those of a sequence in any order.
      lists: rows of ``splits/<name>.txt``: ``(sequence, frame)`` for ``--stills``, or
        ``(sequence, labelled frame, first, last)`` for ``--windows``.
      keep_void: whether labels of void alone are written too.
    """

    classes: ClassMap
    ids: Mapping[int, int]
    pictures: tuple[Picture, ...]
    lists: Mapping[str, tuple[tuple[str, ...], ...]]
    keep_void: bool = False


def check_frames(frame_of: Mapping[Path, Path], part: str) -> None:
    """Looks whether every label has its frame.

    Args:
      frame_of: by the file of a label that of its frame.
      part: what to unpack to have the frames.

    Raises:
      UserError: frames are not there: the first of them, and how many.
    """
    missing = sorted(label for label, frame in frame_of.items() if not frame.is_file())
    if missing:
        raise UserError(
            f"{missing[0]} has no frame {frame_of[missing[0]]} ({len(missing)} of "
            f"{len(frame_of)} labels have none): unpack {part} as well."
        )


def partitions(
    keys: Iterable[tuple[str, Any]], place: Mapping[tuple[str, Any], int], size: int
) -> Iterator[list[tuple[str, Any]]]:
    """Cuts what is listed into parts of ``size`` frames in a row; the rest stays out.

    Args:
      keys: sequence and name or number of frames, in any order.
      place: numbers that follow one another where frames do.
      size: of every part.
    """
    run: list[tuple[str, Any]] = []
    for key in sorted(set(keys), key=place.__getitem__):
        if run and place[key] != place[run[-1]] + 1:
            run = []
        run.append(key)
        if len(run) == size:
            yield run
            run = []


def labelled(pictures: Iterable[Picture]) -> tuple[tuple[str, str], ...]:
    """Sequence and name of the pictures that have a label: a list of stills."""
    return tuple((p.sequence, p.name) for p in pictures if p.label is not None)
