"""The gate: the labels that a run may use, and no way to any other.

Training and propagation are handed a ``KnownLabels`` and never ask a source for a label.
Labels of other frames exist for scoring alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax import interrupts
from wrp_jax.data import label_maps
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import PartlyLabelledSource, VideoSource
from wrp_jax.data.source_digests import SourceDigests
from wrp_jax.data.windows import read_frames, window_frames
from wrp_jax.files.digests import FileDigests
from wrp_jax.files.records import fingerprint
from wrp_jax.types import ClassMap, UserError, Window

Stills = tuple[VideoSource, Sequence[tuple[str, str]]]
"""A source, and ``(sequence, frame)`` of the labelled frames to take from it."""

_LOOKED_AT = 16
"""Frames whose pixels tell one video from another; to read all of a large set takes minutes."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LabelledFrame:
    """One frame whose label is known.

    Attributes:
      source: where it lies.
      sequence, name: which frame it is.
    """

    source: VideoSource
    sequence: str
    name: str

    def frame(self) -> UInt8[np.ndarray, "h w 3"]:
        """The picture, RGB 0 … 255."""
        return self.source.frame(self.sequence, self.name)

    def label(self) -> Int32[np.ndarray, "h w"]:
        """Its label, class indices."""
        return self.source.label(self.sequence, self.name)


@dataclasses.dataclass(frozen=True)
class FurtherFrame(LabelledFrame):
    """A frame around a labelled one that a student learns from as well.

    Attributes:
      key: the labelled frame of the same sequence that it lies around.
      offset: frames after the labelled frame, negative before it.
      moved: whether its picture is that of the labelled frame, moved along, and not the video's.
    """

    key: str
    offset: int
    moved: bool = False


class KnownLabels:
    """The labelled frames of the windows, the stills, and what a student learns from besides.

    Attributes:
      classes: the class map that all of them share.
      items: every labelled frame once: the windows' own in the order of the windows, then
        the stills.
      further: frames that only a student learns from (``data.propagated``).
    """

    def __init__(
        self,
        source: VideoSource,
        windows: Sequence[Window],
        stills: Sequence[Stills] = (),
        further: Sequence[FurtherFrame] = (),
        partial: Collection[tuple[str, str]] = (),
    ):
        """Collects the labelled frames.

        Args:
          source: the video.
          windows: each makes the labels of its ``keys`` known.
          stills: labelled frames from elsewhere, for training.
          further: for a student.
          partial: ``(sequence, frame)`` of partial labels that count.

        Raises:
          UserError: stills with another class map, or that have no label.
        """
        self.classes: ClassMap = source.classes
        self._source = source
        keys = dict.fromkeys((w.sequence, key) for w in windows for key in (*w.keys, *w.further))
        items = {(source.name, *key): LabelledFrame(source, *key) for key in keys}
        around = {(w.sequence, name) for w in windows for name in window_frames(w, source)}
        for other, frames in stills:
            if not label_maps.same_classes(other.classes, source.classes):
                raise UserError(
                    f"{other.name} has other classes than {source.name}: --stills need the same "
                    "ids, names and void in their classes.json."
                )
            for sequence, name in frames:
                if name not in other.label_names(sequence):
                    raise UserError(f"{other.name}: frame {sequence} {name} has no label.")
                if _same_place(other, source) and (sequence, name) in around - keys.keys():
                    _log.warning(
                        "%s %s is given as a still and lies in a window: its label is used and "
                        "its score says nothing", sequence, name,
                    )  # fmt: skip
                place = source.name if _same_place(other, source) else other.name
                items.setdefault((place, sequence, name), LabelledFrame(other, sequence, name))
        self.items: tuple[LabelledFrame, ...] = tuple(items.values())
        self.further = tuple(further)
        self._keys = {key: items[source.name, *key] for key in keys}
        self._around, self._partial = around, frozenset(partial)

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """The label of a keyframe, class indices.

        Raises:
          KeyError: the frame is not a keyframe of these windows, labelled or not.
        """
        if (sequence, name) not in self._keys:
            raise KeyError(f"{sequence} {name} is not a labelled frame of these windows")
        return self._keys[sequence, name].label()

    def partial_label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """A partial label, class indices, ``KEPT`` where it leaves pixels as they are.

        Raises:
          KeyError: the frame has none that counts.
        """
        if (sequence, name) not in self._partial or not isinstance(
            self._source, PartlyLabelledSource
        ):
            raise KeyError(f"{sequence} {name} has no partial label that counts")
        return self._source.partial_label(sequence, name)

    def pictures(self, files: FileDigests) -> dict[str, dict[str, str]]:
        """Digests of all frames that training may read, JSON values.

        Args:
          files: remembers the digests of files.

        Returns:
          ``pictures``: by ``"<sequence> <frame>"`` of the labelled frames, of the picture.
          ``video``: by sequence, of the frames of the windows in their order; of all frames where
          no label is known.
        """
        digests: dict[int, SourceDigests] = {}
        pictures: dict[str, str] = {}
        for item in self.items:
            source = digests.setdefault(id(item.source), SourceDigests(item.source, files))
            key, digest = f"{item.sequence} {item.name}", source.frame(item.sequence, item.name)
            # Stills may have the name of another frame.
            pictures[key] = fingerprint(pictures[key], digest) if key in pictures else digest
        own, video = SourceDigests(self._source, files), {}
        for sequence in self._source.sequences:
            names = self._source.frame_names(sequence)
            if self.items:
                names = tuple(name for name in names if (sequence, name) in self._around)
            if names:
                video[sequence] = own.frames(sequence, names)
        return {"pictures": pictures, "video": video}

    def fingerprint(self) -> str:
        """A hash of the classes and of every known label: names, sizes and pixels.

        Of frames for a student too, with their pictures where these are not the video's.

        Where no label is known, of the frames: all names, and the pixels of a few. A checkpoint
        keeps it: training resumed on other labels or frames would be another training. Where the
        data lie plays no part. Reads every label once.
        """
        classes = json.dumps(label_maps.classes_to_json(self.classes), sort_keys=True)
        digest = hashlib.sha256(classes.encode())
        if not self.items:
            digest.update(_frames_digest(self._source))
        for item in self.items:
            interrupts.check()
            label = item.label()
            digest.update(json.dumps([item.sequence, item.name, *label.shape]).encode())
            digest.update(label.astype(np.uint8).tobytes())
        for item in self.further:
            interrupts.check()
            where = [item.sequence, item.name, item.key, item.offset, item.moved]
            digest.update(json.dumps(where).encode())
            digest.update(item.label().astype(np.uint8).tobytes())
            if item.moved:
                digest.update(item.frame().tobytes())
        return digest.hexdigest()


def split_list(spec: str) -> tuple[str, Path | None]:
    """A source, and the list of frames that stands behind it after a colon.

    Args:
      spec: a source as ``open_source`` takes it; or one, a colon, and a list, looked for in the
        source first and from the current directory then.

    Returns:
      The source and the file of the list; the whole and None where there is no such file.
    """
    root, _, split = spec.rpartition(":")
    if root and split:
        for path in (Path(root) / split, Path(split)):
            if path.exists() and not path.is_dir():
                return root, path
    return spec, None


def parse_stills(spec: str) -> Stills:
    """Opens what ``--stills=ROOT:SPLITFILE`` names.

    Args:
      spec: a source as ``open_source`` takes it, a colon, and a list of
        ``<sequence> <frame>`` lines, looked for in ``ROOT`` first and from the current
        directory then.

    Raises:
      UserError: no colon, no such source or list, or frames that do not exist.
    """
    root, path = split_list(spec)
    if path is None:
        root, _, split = spec.rpartition(":")
        if not root or not split:
            raise UserError(
                f"--stills={spec} must be ROOT:SPLITFILE, a folder and a list of frames."
            )
        if not Path(root).exists():
            open_source(root)  # which says so
        raise UserError(f"--stills={spec}: there is no list {Path(root) / split}, nor {split}.")
    source = open_source(root)
    return source, read_frames(path, source)


def _frames_digest(source: VideoSource) -> bytes:
    names = {sequence: source.frame_names(sequence) for sequence in source.sequences}
    digest = hashlib.sha256(json.dumps(list(names.items())).encode())
    frames = [(sequence, name) for sequence, own in names.items() for name in own]
    for place in np.unique(np.linspace(0, len(frames) - 1, _LOOKED_AT).astype(int)):
        frame = source.frame(*frames[place])
        digest.update(json.dumps(frame.shape).encode())
        digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()


def _same_place(a: VideoSource, b: VideoSource) -> bool:
    return a.name == b.name or Path(a.name).resolve() == Path(b.name).resolve()
