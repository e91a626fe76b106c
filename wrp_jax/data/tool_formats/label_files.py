"""Labels that are given file by file, for a video that has none: ``--label=000010.png``.

The number in the name of a file says of which frame it is, and ``10:some.png`` says it where the
name does not. The classes are those of ``classes.json`` beside the file, or one for each id or
colour in it. All is read and compared with the frames before anything is written.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from wrp_jax.data import images, label_maps, label_pictures
from wrp_jax.data.public_sets.convert import picture_size
from wrp_jax.data.public_sets.public_set import Picture, Pixels, PublicSet
from wrp_jax.data.survey.pictures import FEW_COLORS, Pictures, count
from wrp_jax.data.survey.unnamed_classes import is_mask, unnamed_classes
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import ClassMap, UserError

_log = logging.getLogger(__name__)
_NUMBERS = re.compile("[0-9]+")
_NAMED = "name the file by the number of its frame, as 000010.png, or give --label=10:{path}"


class GivenLabel(NamedTuple):
    """A label and what is said of its frame.

    Attributes:
      path: its file.
      frame: name or number of the frame.
    """

    path: Path
    frame: str


def parse_label(text: str) -> GivenLabel:
    """Reads a value of ``--label``.

    Args:
      text: ``PATH``, whose name tells the frame, or ``FRAME:PATH``.

    Raises:
      UserError: there is no such file.

    Example:
      >>> parse_label("setup.py").frame
      'setup'
    """
    frame, colon, path = text.partition(":")
    if Path(text).is_file() or not colon:
        frame, path = Path(text).stem, text
    if not Path(path).is_file():
        raise UserError(f"--label={text}: there is no file {path}: correct the path.")
    return GivenLabel(Path(path), frame)


def find_frame(label: GivenLabel, frames: Sequence[str]) -> str:
    """Which frame a label is of: that of the same name, or the only one with the same number.

    Args:
      label: what is given.
      frames: the names of all frames of the video.

    Raises:
      UserError: there is no such frame, or more than one; the name holds no number, or several.
    """
    if label.frame in frames:
        return label.frame
    numbers = _NUMBERS.findall(label.frame)
    named = _NAMED.format(path=label.path)
    if len(numbers) != 1:
        what = "several numbers" if numbers else "no number"
        raise UserError(
            f"{label.path} has {what} in its name, which does not tell its frame then: {named}."
        )
    number = int(numbers[0])
    found = [name for name in frames if _last_number(name) == number]
    if len(found) > 1:
        raise UserError(
            f"{label.path} can be a label of {found[0]} and of {found[1]}: give "
            f"--label={found[0]}:{label.path}."
        )
    if not found:
        raise UserError(
            f"{label.path} is a label of frame {number}, and the video has the frames {frames[0]} "
            f"to {frames[-1]}: {named}."
        )
    return found[0]


def _last_number(name: str) -> int | None:
    numbers = _NUMBERS.findall(name)
    return int(numbers[-1]) if numbers else None


def with_labels(
    video: PublicSet, labels: Sequence[GivenLabel], classes: ClassMap | None = None
) -> PublicSet:
    """Gives frames of a video their labels.

    Args:
      video: one sequence without labels.
      labels: one or more.
      classes: of the labels; None: those of ``classes.json`` beside them, or else one for each id
        or colour that they hold.

    Raises:
      UserError: several sequences, two labels of one frame, a label of no frame or of another
        size, or one that is no PNG of ids or of the colours of the classes.
    """
    sequences = sorted({picture.sequence for picture in video.pictures})
    if len(sequences) != 1:
        raise UserError(
            f"--label goes with one video, and there are {len(sequences)}, the first two are "
            f"{' and '.join(sequences[:2])}: give the folder of one."
        )
    classes = classes or _classes_beside(labels)
    if classes is None:
        classes, read_ids = _classes_of(labels), _read_unnamed
    else:
        read_ids = _read_ids
    by_name = {picture.name: picture for picture in video.pictures}
    found: dict[str, Pixels] = {}
    for label in labels:
        name = find_frame(label, tuple(by_name))
        if name in found:
            raise UserError(
                f"{found[name].file} and {label.path} are both labels of frame {name}: give one."
            )
        size = read_ids(label.path, classes).shape
        height, width = picture_size(by_name[name].frame)
        if size != (height, width):
            raise UserError(
                f"{label.path} is {size[1]}x{size[0]} but its frame {name} is {width}x{height}: "
                "labels must have the size of their frame."
            )
        read = functools.partial(read_ids, label.path, classes)
        found[name] = Pixels(str(label.path), label.path, read)

    def labelled(picture: Picture) -> Picture:
        return dataclasses.replace(picture, label=found.get(picture.name))

    pictures = tuple(map(labelled, video.pictures))
    return PublicSet(classes, {i: i for i in classes.ids}, pictures, {}, keep_void=True)


def _classes_beside(labels: Sequence[GivenLabel]) -> ClassMap | None:
    files = dict.fromkeys(label.path.parent / label_maps.CLASSES_FILE for label in labels)
    maps = {file: label_maps.read_classes(file) for file in files if file.is_file()}
    if not maps:
        return None
    (first, classes), *others = maps.items()
    for file, other in others:
        if not label_maps.same_classes(classes, other):
            raise UserError(f"{first} and {file} are other lists of classes: make them equal.")
    return classes


def _classes_of(labels: Sequence[GivenLabel]) -> ClassMap:
    """One class for each id or colour."""
    found = Pictures("", (), is_labels=True)
    for label in labels:
        picture = images.decode_label(read_bytes(label.path), label.path)
        count(found, picture, str(label.path))
        several = found.colors if picture.pixels.ndim > 2 else found.ids
        if found.odd or not several or len(several) > FEW_COLORS or max(found.ids, default=0) > 255:
            what = "colours" if picture.pixels.ndim > 2 else "ids"
            raise UserError(
                f"{label.path} has {'no' if not several else 'too many or too large'} {what} for a "
                f"label without a list of classes ({FEW_COLORS} at most): put a classes.json "
                "beside it, or save it as 8-bit grey or palette PNG of ids, without soft edges."
            )
    if found.ids and found.colors:
        raise UserError(
            f"{labels[0].path} and the other labels hold ids and colours, which cannot be brought "
            "together without a classes.json: put one beside them."
        )
    classes = label_maps.parse_classes(unnamed_classes([found]), str(labels[0].path))
    _log.warning(
        "%s has no classes.json beside it: its classes are called %s",
        labels[0].path, ", ".join(classes.names),
    )  # fmt: skip
    return classes


def _read_ids(path: Path, classes: ClassMap) -> Int32[np.ndarray, "h w"]:
    indices = label_pictures.read_label(read_bytes(path), classes, path)
    return np.array(classes.ids, np.int32)[indices]


def _read_unnamed(path: Path, classes: ClassMap) -> Int32[np.ndarray, "h w"]:
    """The ids of a label by ``unnamed_classes``, who take masks of two values for 0 and 1."""
    pixels = images.decode_label(read_bytes(path), path).pixels
    is_two = pixels.dtype == bool or (pixels.ndim == 2 and is_mask(np.unique(pixels).tolist()))
    if is_two and 255 not in classes.ids:
        return (pixels != 0).astype(np.int32)
    return _read_ids(path, classes)
