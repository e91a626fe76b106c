"""What is exported: frames with labels, from a folder of data or from what ``propagate`` wrote."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from wrp_jax import interrupts
from wrp_jax.data import images
from wrp_jax.data.open_source import open_source
from wrp_jax.data.propagated.folder import FRAMES, PropagatedFolder
from wrp_jax.data.source import StoredSource, VideoSource, reading
from wrp_jax.data.tool_formats.imported import imported_in
from wrp_jax.data.tool_formats.project import free_name
from wrp_jax.data.windows import read_frames
from wrp_jax.files.output import RUN_FILE
from wrp_jax.files.regular import read_bytes
from wrp_jax.quality.table import read_output_quality
from wrp_jax.types import UNLABELLED, ClassMap, UserError

_PNG = b"\x89PNG"
_log = logging.getLogger(__name__)


class LabelledFrame(NamedTuple):
    """A frame and its label.

    Attributes:
      sequence: its name.
      name: of the frame.
      frame: as PNG or JPEG.
      suffix: of its file.
      label: class indices, that of void where nothing is known.
    """

    sequence: str
    name: str
    frame: bytes
    suffix: str
    label: Int32[np.ndarray, "h w"]

    @property
    def key(self) -> str:
        """``<sequence>/<frame>``."""
        return f"{self.sequence}/{self.name}"

    def png(self) -> bytes:
        """The frame as PNG."""
        if self.suffix == ".png":
            return self.frame
        return images.encode_png(images.decode_frame(self.frame, self.key))


class Labels:
    """The labels to export.

    Attributes:
      classes: of the labels; with one more, which is void, where there is none and pixels are
        without a label.
      frames: sequence and name of each.
    """

    def __init__(self, source: VideoSource, video: VideoSource, frames: Sequence[tuple[str, str]]):
        """Use ``open_labels``."""
        self.classes: ClassMap = source.classes
        self.frames = tuple(frames)
        self._source, self._video = source, video
        if self.classes.void_index is None and self._leaves_pixels_out():
            self.classes = _with_void(self.classes)

    def __iter__(self) -> Iterator[LabelledFrame]:
        """Reads one after the other."""
        nothing = self.classes.void_index
        for sequence, name in self.frames:
            interrupts.check()
            with reading(name):
                label = self._source.label(sequence, name)
                # The index 255 is that of a class where there are 256.
                if nothing is not None and self.classes.num_classes <= UNLABELLED:
                    label = np.where(label == UNLABELLED, nothing, label)
                if isinstance(self._video, StoredSource):
                    data = self._video.frame_bytes(sequence, name)
                else:
                    data = images.encode_png(self._video.frame(sequence, name))
            suffix = ".png" if data.startswith(_PNG) else ".jpg"
            yield LabelledFrame(sequence, name, data, suffix, label.astype(np.int32))

    def _leaves_pixels_out(self) -> bool:
        """Whether a label has pixels without a class; reads labels until one has."""
        if self.classes.num_classes > UNLABELLED:
            return False  # 255 is the index of a class
        for sequence, name in self.frames:
            interrupts.check()
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
) -> Labels:
    """Finds the labels.

    Args:
      out: what ``propagate`` wrote, or a folder of data.
      data: the video that was labelled; for the former alone, and not needed where ``propagate``
        has imported it.
      min_confidence: 0 … 1; pixels below it are void, or nothing; for the former alone.
      frames: list of ``<sequence> <frame>``, or a ``.csv`` with columns of these names, as
        ``next_frames.csv``, of whose frames those without a label are left out and told; None: all
        that have a label.
      below: of these the frames alone of which ``quality.csv`` expects a lower mIoU, in %, or none
        since their labels are void alone.

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
    if frames is not None and frames.suffix.lower() == ".csv":
        listed = _read_table(frames, source)
    elif frames is not None:
        listed = list(read_frames(frames, source))
    else:
        listed = [
            (sequence, name)
            for sequence in video.sequences
            if sequence in source.sequences
            for name in video.frame_names(sequence)
            if name in source.label_names(sequence)
        ]
    if below is not None:
        listed = _below(out, listed, below)
    if not listed:
        raise UserError(f"{out} holds no labels: there is nothing to export.")
    return Labels(source, video, listed)


def _read_table(path: Path, source: VideoSource) -> list[tuple[str, str]]:
    """The frames of a table that have a label, each once; tells of the others."""
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
    listed = dict.fromkeys((row[places[0]], row[places[1]]) for row in rows)
    found = [
        (sequence, name)
        for sequence, name in listed
        if sequence in source.sequences and name in source.label_names(sequence)
    ]
    if len(found) < len(listed):
        sequence, name = next(frame for frame in listed if frame not in set(found))
        _log.warning(
            "%s: %d of its frames have no label and are left out (the first is %s %s)",
            path, len(listed) - len(found), sequence, name,
        )  # fmt: skip
    if not found:
        raise UserError(f"{path}: none of its frames has a label: there is nothing to export.")
    return found


def _below(out: Path, listed: Sequence[tuple[str, str]], least: float) -> list[tuple[str, str]]:
    if not 0 <= least <= 100:
        raise UserError(f"--below={least:g} must be an mIoU in %, from 0 to 100.")
    rows = read_output_quality(out)
    # Of void alone nothing is expected: nobody knows that it is better.
    worse = {(row.sequence, row.frame) for row in rows if not row.miou >= least}
    found = [frame for frame in listed if frame in worse]
    if not found:
        raise UserError(
            f"{out}: of no frame is an mIoU below {least:g} % expected: give a higher --below."
        )
    return found
