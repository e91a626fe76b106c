"""Video in a folder: ``<root>/<sequence>/frames/*``, ``<sequence>/labels/*``, ``classes.json``.

A label belongs to the frame with the same file name without its ending. ``labels`` may be
missing or hold some frames only. A root that holds ``frames`` itself is one sequence.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.data import images, label_maps
from wrp_jax.data.source import TableOfFrames
from wrp_jax.files.output import check_name
from wrp_jax.types import ClassMap, UserError

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_VIDEO_FILES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FolderSource(TableOfFrames):
    """A ``VideoSource`` over image files; ``open_folder`` makes one.

    Names that come from outside (lists of windows, say) are only ever looked up among the
    names found on disk, so no name can lead out of the folder.

    Attributes:
      root: the folder.
      classes: from its ``classes.json``.
      max_pixels: larger pictures are refused.
    """

    root: Path
    classes: ClassMap
    max_pixels: int
    _frames: Mapping[str, Mapping[str, Path]] = dataclasses.field(repr=False)
    _labels: Mapping[str, Mapping[str, Path]] = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The folder, as it was given."""
        return str(self.root)

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """Decodes a frame, RGB 0 … 255; UserError if the file is broken."""
        path = self._frames[sequence][name]
        return images.decode_frame(images.read_bytes(path), path, self.max_pixels)

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """Decodes a label into class indices.

        Raises:
          UserError: the file is broken, holds ids outside the class map or something that
            is no id map, or has another size than its frame.
        """
        path = self._labels[sequence][name]
        raw = images.decode_label(images.read_bytes(path), path, self.max_pixels)
        label = label_maps.ids_to_indices(raw, self.classes, path)
        size = self.frame_size(sequence, name)
        if label.shape != size:
            raise UserError(
                f"{path} is {label.shape[1]}x{label.shape[0]} but its frame "
                f"{self._frames[sequence][name].name} is {size[1]}x{size[0]}: labels must have "
                "the size of their frame."
            )
        return label

    def frame_size(self, sequence: str, name: str) -> tuple[int, int]:
        """Height and width of a frame, from the file's header."""
        path = self._frames[sequence][name]
        return images.frame_size(path, path, self.max_pixels)

    def frame_bytes(self, sequence: str, name: str) -> bytes:
        """A frame as PNG or JPEG bytes, the file's own where they are plain RGB."""
        path = self._frames[sequence][name]
        return images.plain_bytes(images.read_bytes(path), path, self.max_pixels)


def open_folder(
    root: Path, max_pixels: int = images.MAX_PIXELS, *, labelled: bool = True
) -> FolderSource:
    """Lists a folder and checks its layout; no picture is opened yet.

    Args:
      root: the folder.
      max_pixels: pictures with more pixels are refused when they are read.
      labelled: False where no label will be read: ``classes.json`` and labels are passed over,
        and the frames of a sequence may also lie in its folder itself, or in the root.

    Raises:
      UserError: no such folder, no or broken ``classes.json``, no sequence, a sequence
        without frames, two files for one frame or label, a label without a frame, or a name
        that ``check_name`` refuses.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give one with <sequence>/frames/*.")
    if not labelled:
        return _open_frames(root, max_pixels)
    try:
        folders = _sequence_folders(root)
        classes = label_maps.read_classes(_classes_file(root))
        frames = {name: _list_pictures(folder / "frames") for name, folder in folders.items()}
        labels = {
            name: _list_pictures(folder / "labels") if (folder / "labels").is_dir() else {}
            for name, folder in folders.items()
        }
    except OSError as error:  # permissions, loops of links, names too long
        raise UserError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    for sequence, folder in folders.items():
        for name in (sequence, *frames[sequence]):
            check_name(name)
        if not frames[sequence]:
            raise UserError(f"{folder / 'frames'} holds no pictures: put the frames there.")
        for name, path in labels[sequence].items():
            if name not in frames[sequence]:
                raise UserError(
                    f"{path} is a label without a frame: add {folder / 'frames'}/{name}.jpg or "
                    "remove the label."
                )
    return FolderSource(root, classes, max_pixels, frames, labels)


def _open_frames(root: Path, max_pixels: int) -> FolderSource:
    """The frames alone: of ``<sequence>/frames``, of ``<sequence>``, or of the root."""
    try:
        inside = sorted(
            (p for p in root.iterdir() if p.is_dir()), key=lambda p: natural_key(p.name)
        )
        folders = [p for p in (root, *inside) if p.name != "frames" and not p.name.startswith(".")]
        found = {p: p / "frames" if (p / "frames").is_dir() else p for p in folders}
        listed = {p.resolve().name: _list_pictures(f, quiet=True) for p, f in found.items()}
    except OSError as error:
        raise UserError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    frames = {name: pictures for name, pictures in listed.items() if pictures}
    if not frames:
        raise UserError(f"{root} holds no pictures: give a folder of frames, or of such folders.")
    return FolderSource(
        root, label_maps.NO_CLASSES, max_pixels, frames, {name: {} for name in frames}
    )


def natural_key(name: str) -> tuple:
    """Sorts ``frame2`` before ``frame10``; equal numbers by their spelling."""
    parts = re.split(r"([0-9]+)", name)
    return (*((int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)), (-1, name))


def _sequence_folders(root: Path) -> dict[str, Path]:
    if (root / "frames").is_dir():
        return {root.resolve().name: root}
    found = {}
    for folder in sorted(root.iterdir(), key=lambda p: natural_key(p.name)):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        if (folder / "frames").is_dir():
            found[folder.name] = folder
        elif (folder / "labels").is_dir():
            raise UserError(
                f"{folder} has labels but no frames: put its frames in {folder}/frames."
            )
    if not found:
        raise UserError(
            f"{root} holds no video{_what_there_is(root)}: put frames in {root}/<sequence>/frames/ "
            f"and labels in {root}/<sequence>/labels/."
        )
    return found


def _what_there_is(root: Path) -> str:
    """A hint at what stands in the place of sequences."""
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in _VIDEO_FILES:
            return f", but {path} (save its frames as pictures)"
        if path.suffix.lower() in images.SUFFIXES:
            return f", but pictures like {path.name} in no sequence"
    deep = next((path for path in sorted(root.glob("*/*/frames")) if path.is_dir()), None)
    return f", but {deep} one level too deep (give {deep.parent.parent})" if deep else ""


def _classes_file(root: Path) -> Path:
    """``classes.json`` of the folder; one sequence of a data set may use its parent's."""
    own, above = root / label_maps.CLASSES_FILE, root.resolve().parent / label_maps.CLASSES_FILE
    return above if (root / "frames").is_dir() and not own.is_file() and above.is_file() else own


def _list_pictures(folder: Path, *, quiet: bool = False) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: (natural_key(p.stem), p.name)):
        if path.name.startswith(".") or path.name.lower() in _SYSTEM_FILES or path.is_dir():
            continue
        if path.suffix.lower() not in images.SUFFIXES:
            if not quiet:
                _log.warning("%s is passed over: not a picture by its name", path)
            continue
        if path.stem in found:
            raise UserError(
                f"{folder} has both {found[path.stem].name} and {path.name}: remove one of them."
            )
        found[path.stem] = path
    return found
