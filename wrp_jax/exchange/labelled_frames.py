"""What is exported: frames and labels, from a folder of data or from what ``propagate`` wrote."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from wrp_jax import interrupts
from wrp_jax.data import images
from wrp_jax.data.open_source import open_source
from wrp_jax.data.propagated.folder import FRAMES, PropagatedFolder
from wrp_jax.data.source import StoredSource, VideoSource, partial_names, reading
from wrp_jax.data.tool_formats.imported import imported_in
from wrp_jax.data.tool_formats.project import free_name
from wrp_jax.data.windows import read_frames
from wrp_jax.files.output import RUN_FILE
from wrp_jax.files.regular import read_bytes
from wrp_jax.quality.table import read_output_quality
from wrp_jax.types import UNLABELLED, ClassMap, UserError

_Key = tuple[str, str]
"""Sequence and name of a frame."""
_PNG = b"\x89PNG"
_log = logging.getLogger(__name__)


class ExportedFrame(NamedTuple):
    """A frame and its label, where it has one.

    Attributes:
      sequence: its name.
      name: of the frame.
      frame: as PNG or JPEG.
      suffix: of its file.
      label: class indices, that of void where nothing is known; None: nobody has labelled the
        frame.
    """

    sequence: str
    name: str
    frame: bytes
    suffix: str
    label: Int32[np.ndarray, "h w"] | None

    @property
    def key(self) -> str:
        """``<sequence>/<frame>``."""
        return f"{self.sequence}/{self.name}"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        if self.label is None:
            return images.frame_size(self.frame, self.key)
        height, width = self.label.shape
        return height, width

    def png(self) -> bytes:
        """The frame as PNG."""
        if self.suffix == ".png":
            return self.frame
        return images.encode_png(images.decode_frame(self.frame, self.key))


class Labels:
    """The frames to export, and their labels.

    Attributes:
      classes: of the labels; with one more, which is void, where there is none and pixels are
        without a label.
      frames: sequence and name of each.
      labelled: those of them that have a label.
      left_out: how many frames a folder of data has besides, since they have no label.
    """

    def __init__(
        self,
        source: VideoSource,
        video: VideoSource,
        frames: Sequence[_Key],
        labelled: Collection[_Key],
        left_out: int,
    ):
        """Use ``open_labels``."""
        self.classes: ClassMap = source.classes
        self.frames = tuple(frames)
        self.labelled = frozenset(frame for frame in frames if frame in labelled)
        self.left_out = left_out
        self._source, self._video = source, video
        if self.classes.void_index is None and self._leaves_pixels_out():
            self.classes = _with_void(self.classes)

    def __iter__(self) -> Iterator[ExportedFrame]:
        """Reads one after the other."""
        for sequence, name in self.frames:
            interrupts.check()
            with reading(name):
                label = self._label(sequence, name)
                if isinstance(self._video, StoredSource):
                    data = self._video.frame_bytes(sequence, name)
                else:
                    data = images.encode_png(self._video.frame(sequence, name))
            suffix = ".png" if data.startswith(_PNG) else ".jpg"
            yield ExportedFrame(sequence, name, data, suffix, label)

    def _label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"] | None:
        if (sequence, name) not in self.labelled:
            return None
        label, nothing = self._source.label(sequence, name), self.classes.void_index
        # The index 255 is that of a class where there are 256.
        if nothing is not None and self.classes.num_classes <= UNLABELLED:
            label = np.where(label == UNLABELLED, nothing, label)
        return label.astype(np.int32)

    def _leaves_pixels_out(self) -> bool:
        """Whether a label has pixels without a class; reads labels until one has."""
        if self.classes.num_classes > UNLABELLED:
            return False  # 255 is the index of a class
        for sequence, name in self.frames:
            interrupts.check()
            if (sequence, name) not in self.labelled:
                continue
            with reading(name):
                if (self._source.label(sequence, name) == UNLABELLED).any():
                    return True
        return False


def _with_void(classes: ClassMap) -> ClassMap:
    id_ = next(i for i in range(UNLABELLED, -1, -1) if i not in classes.ids)
    return ClassMap(
        (*classes.ids, id_),
        (*classes.names, free_name(classes.names)),
        np.concatenate([classes.colors, np.zeros((1, 3), np.uint8)]),
        (*classes.void, True),
    )


def open_labels(
    out: Path,
    data: str | None,
    min_confidence: float,
    frames: Path | None,
    below: float | None = None,
    *,
    unlabelled: bool = False,
) -> Labels:
    """Finds the frames and the labels.

    Args:
      out: what ``propagate`` wrote, or a folder of data.
      data: the video that was labelled; for the former alone, and not needed where ``propagate``
        has imported it.
      min_confidence: 0 … 1; pixels below it are void, or nothing; for the former alone.
      frames: list of ``<sequence> <frame>``, or a ``.csv`` with columns of these names, as
        ``next_frames.csv``, of whose frames those that cannot be exported are left out and told;
        None: all.
      below: of these the frames alone of which ``quality.csv`` expects a lower mIoU, in %, or none
        since their labels are void alone or they have none.
      unlabelled: frames without a label, too. A label that leaves pixels as they are counts as
        none: no tool has such.

    Raises:
      UserError: there are none, or ``data`` or ``min_confidence`` are missing or mean nothing.
    """
    if not 0 <= min_confidence <= 1:
        raise UserError(f"--min_confidence={min_confidence}: give a number from 0 to 1.")
    if (out / RUN_FILE).is_file() and not (out / "classes.json").is_file():
        found = imported_in(out, data)
        if found is None:
            raise UserError(f"{out} holds labels without frames: give --data, the video of it.")
        video = open_source(found)
        source = PropagatedFolder(out, video, "", FRAMES, min_confidence)
    else:
        if data or min_confidence:
            flag = "data" if data else "min_confidence"
            raise UserError(
                f"--{flag} goes with what 'wrp propagate' wrote, and {out} is not that."
            )
        source = video = open_source(str(out))
    labelled = frozenset((s, name) for s in source.sequences for name in source.label_names(s))
    everything = [(s, name) for s in video.sequences for name in video.frame_names(s)]
    listed, left_out = everything, 0
    if frames is not None:
        is_table = frames.suffix.lower() == ".csv"
        listed = (
            _read_table(frames) if is_table else list(read_frames(frames, video, labelled=False))
        )
        known = frozenset(everything) if unlabelled else labelled
        listed = _known_of(frames, listed, known, skip=is_table, unlabelled=unlabelled)
    elif not unlabelled:
        listed = [frame for frame in everything if frame in labelled]
        left_out = len(everything) - len(listed) if source is video else 0
    if below is not None:
        listed, left_out = _below(out, listed, below, labelled), 0
    if not listed:
        raise UserError(
            f"{out} holds no labels: there is nothing to export. --unlabelled exports frames "
            "without a label."
        )
    _tell_partial(source, listed)
    return Labels(source, video, listed, labelled, left_out)


def _read_table(path: Path) -> list[_Key]:
    """The frames of a table, each once."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no table of comma-separated values ({error}).") from error
    head, rows = (lines[0], lines[1:]) if lines else ([], [])
    if not rows or not {"sequence", "frame"} <= set(head):
        raise UserError(
            f"{path} has no rows with columns sequence and frame: give a table of them."
        )
    # The first of each name: further on in quality.csv a class may be called so.
    places = head.index("sequence"), head.index("frame")
    rows = [row + [""] * (len(head) - len(row)) for row in rows]
    return list(dict.fromkeys((row[places[0]], row[places[1]]) for row in rows))


def _known_of(
    path: Path, listed: Sequence[_Key], known: Collection[_Key], *, skip: bool, unlabelled: bool
) -> list[_Key]:
    """Of the frames of a list those that can be exported; tells of the others, or refuses them."""
    found = [frame for frame in listed if frame in known]
    if len(found) == len(listed):
        return found
    if unlabelled:
        lack, advice = "are not in the video", "give the table of this video"
    else:
        lack, advice = "have no label", "--unlabelled exports frames without a label, too"
    if not found:
        raise UserError(f"{path}: all of its frames {lack}: {advice}.")
    sequence, name = next(frame for frame in listed if frame not in known)
    count = len(listed) - len(found)
    if not skip:
        raise UserError(
            f"{path}: {count} of its frames {lack}, the first is {sequence} {name}: take them out; "
            f"{advice}."
        )
    _log.warning(
        "%s: %d of its frames %s and are left out (the first is %s %s); %s",
        path, count, lack, sequence, name, advice,
    )  # fmt: skip
    return found


def _tell_partial(source: VideoSource, listed: Sequence[_Key]) -> None:
    partial = {s: partial_names(source, s) for s in source.sequences}
    found = [(s, name) for s, name in listed if name in partial.get(s, ())]
    if found:
        _log.warning(
            "%s: %d frames are labelled in part, which no tool can hold, and are exported without "
            "a label (the first is %s %s)", source.name, len(found), *found[0],
        )  # fmt: skip


def _below(
    out: Path, listed: Sequence[_Key], least: float, labelled: Collection[_Key]
) -> list[_Key]:
    if not 0 <= least <= 100:
        raise UserError(f"--below={least:g} must be an mIoU in %, from 0 to 100.")
    rows = read_output_quality(out)
    # Of void alone, and of no label, nothing is expected: nobody knows that it is better.
    worse = {(row.sequence, row.frame) for row in rows if not row.miou >= least}
    found = [frame for frame in listed if frame in worse or frame not in labelled]
    if not found:
        raise UserError(
            f"{out}: of no frame is an mIoU below {least:g} % expected: give a higher --below."
        )
    return found
