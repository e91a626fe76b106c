"""Video in a folder: ``<root>/<sequence>/frames/*``, ``<sequence>/labels/*``, ``classes.json``.

A label belongs to the frame with the same file name without its ending. ``labels`` may be
missing or hold some frames only. A root that holds ``frames`` itself is one sequence.
``<sequence>/frames.txt``, one name per line, gives the order of the frames where it is there;
else their names do (see ``frame_names``). What looks like data and is not read is told.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax import interrupts
from wrp_jax.data import images, label_maps, label_pictures, passed_over
from wrp_jax.data.frame_names import in_order, natural_key, same_number
from wrp_jax.data.source import TableOfFrames
from wrp_jax.data.tool_formats.recognise import export_hint
from wrp_jax.files.output import check_name
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import ClassMap, UserError

ORDER_FILE = "frames.txt"
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
      partial: by sequence and frame, labels that leave pixels as they are.
    """

    root: Path
    classes: ClassMap
    max_pixels: int
    _frames: Mapping[str, Mapping[str, Path]] = dataclasses.field(repr=False)
    _labels: Mapping[str, Mapping[str, Path]] = dataclasses.field(repr=False)
    partial: Mapping[str, Mapping[str, Path]] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The folder, as it was given."""
        return str(self.root)

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """Decodes a frame, RGB 0 … 255; UserError if the file is broken."""
        path = self._frames[sequence][name]
        return images.decode_frame(read_bytes(path), path, self.max_pixels)

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """Decodes a label into class indices.

        Raises:
          UserError: the file is broken, holds ids outside the class map or something that
            is no id map, or has another size than its frame.
        """
        path = self._labels[sequence][name]
        return self._of_its_size(label_pictures.read_label, sequence, name, path)

    def partial_names(self, sequence: str) -> frozenset[str]:
        """See ``source.PartlyLabelledSource``."""
        return frozenset(self.partial.get(sequence, ()))

    def partial_label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """See ``source.PartlyLabelledSource``; raises as ``label`` does."""
        path = self.partial[sequence][name]
        return self._of_its_size(label_pictures.read_partial, sequence, name, path)

    def _of_its_size(
        self, read: Callable[..., np.ndarray], sequence: str, name: str, path: Path
    ) -> Int32[np.ndarray, "h w"]:
        label = read(read_bytes(path), self.classes, path, self.max_pixels)
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

    def origin(self, kind: str, sequence: str, name: str) -> tuple[tuple[Path], str]:
        """The file of a picture, see ``source_digests``."""
        if kind == "labels" and name in self.partial.get(sequence, ()):
            return (self.partial[sequence][name],), f"keep {self.classes.keep}"
        return ((self._labels if kind == "labels" else self._frames)[sequence][name],), ""

    def frame_bytes(self, sequence: str, name: str) -> bytes:
        """A frame as PNG or JPEG bytes, the file's own where they are plain RGB."""
        path = self._frames[sequence][name]
        return images.plain_bytes(read_bytes(path), path, self.max_pixels)


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
        without frames, two files for one frame or label, a label without a frame, a name
        that ``check_name`` refuses, a list of frames that does not name each of them once, or a
        folder that is a sequence and holds sequences.
    """
    if not root.is_dir():
        raise UserError(
            export_hint(root) or f"{root} is not a folder: give one with <sequence>/frames/*."
        )
    if not labelled:
        return _open_frames(root, max_pixels)
    try:
        folders = _sequence_folders(root)
        classes = label_maps.read_classes(_classes_file(root))
        frames = {name: _list_frames(folder, folder / "frames") for name, folder in folders.items()}
        labels = {
            name: _list_pictures(folder / "labels")
            if passed_over.existing_folder(folder / "labels")
            else {}
            for name, folder in folders.items()
        }
        passed_over.tell_around_sequences(root, folders)
    except OSError as error:  # permissions, loops of links, names too long
        raise UserError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    for sequence, folder in folders.items():
        check_name(sequence)
        if not frames[sequence]:
            raise UserError(f"{folder / 'frames'} holds no pictures: put the frames there.")
        for name, path in labels[sequence].items():
            if name not in frames[sequence]:
                advice = _advice(name, frames[sequence])
                raise UserError(f"{path} is a label without a frame: {advice}")
    partial = _take_partial(labels, classes, max_pixels)
    return FolderSource(root, classes, max_pixels, frames, labels, partial)


def _advice(name: str, frames: Mapping[str, Path]) -> str:
    """What to do with a label of this name, for which there is no frame among these."""
    composed = unicodedata.normalize("NFC", name)
    for frame, path in frames.items():
        if unicodedata.normalize("NFC", frame) == composed:
            return f"the name of {path} looks the same, but is spelt in other bytes; rename one."
    same = same_number(name, frames)
    if len(same) == 1:
        return f"if it belongs to the frame {frames[same[0]]}, call it {same[0]}; else remove it."
    first = next(iter(frames.values()))
    return f"add the frame {first.with_name(name + first.suffix)} or remove the label."


def _take_partial(
    labels: dict[str, dict[str, Path]], classes: ClassMap, max_pixels: int
) -> dict[str, dict[str, Path]]:
    """Moves the labels that leave pixels as they are out of the others."""
    if classes.keep is None:
        return {}
    partial: dict[str, dict[str, Path]] = {}
    for sequence, own in labels.items():
        for name, path in tuple(own.items()):
            interrupts.check()
            if label_pictures.is_partial(read_bytes(path), classes, path, max_pixels):
                partial.setdefault(sequence, {})[name] = own.pop(name)
    return partial


def _open_frames(root: Path, max_pixels: int) -> FolderSource:
    """The frames alone: of ``<sequence>/frames``, of ``<sequence>``, or of the root."""
    try:
        own = root.resolve().name
        inside = {p.name: p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")}
        inside.pop("frames", None)
        listed = {own: _list_unlabelled(root)}
        if listed[own]:  # what lies beside the root's own frames are no further sequences
            inside = {n: p for n, p in inside.items() if n not in passed_over.OF_A_SEQUENCE}
        for name in sorted(inside, key=natural_key):
            pictures = _list_unlabelled(inside[name])
            if name == own and pictures and listed[own]:
                raise UserError(f"{root} and {inside[name]} are two sequences {own}: rename one.")
            listed[name] = pictures or listed.get(name, {})
    except OSError as error:
        raise UserError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    frames = {name: pictures for name, pictures in listed.items() if pictures}
    if not frames:
        raise UserError(f"{root} holds no pictures: give a folder of frames, or of such folders.")
    return FolderSource(
        root, label_maps.NO_CLASSES, max_pixels, frames, {name: {} for name in frames}
    )


def _list_unlabelled(folder: Path) -> dict[str, Path]:
    """The frames of its folder ``frames`` if that holds any, else of the folder itself."""
    if passed_over.existing_folder(folder / "frames"):
        found = _list_frames(folder, folder / "frames")
        if found:
            passed_over.tell_beside_frames(folder)
            return found
    return _list_frames(folder, folder)


def _sequence_folders(root: Path) -> dict[str, Path]:
    found = {}
    for folder in sorted(root.iterdir(), key=lambda p: natural_key(p.name)):
        if folder.name.startswith(".") or folder.name in ("frames", "labels"):
            continue
        if not folder.is_dir():
            continue
        if passed_over.existing_folder(folder / "frames"):
            found[folder.name] = folder
        elif passed_over.existing_folder(folder / "labels") and not (root / "frames").is_dir():
            raise UserError(
                export_hint(root)  # of an output, whose labels look like these
                or f"{folder} has labels but no frames: put its frames in {folder}/frames."
            )
    if passed_over.existing_folder(root / "frames"):
        if not found:
            return {root.resolve().name: root}
        if _list_pictures(root / "frames"):
            raise UserError(
                f"{root} has frames of its own, {root / 'frames'}, beside the sequences "
                f"{', '.join(list(found)[:4])}: move the frames into a sequence, or remove them."
            )
        _log.warning("%s passed over: it holds no pictures", root / "frames")
    if not found:
        raise UserError(
            export_hint(root)
            or f"{root} holds no video{_what_there_is(root)}: put frames in "
            f"{root}/<sequence>/frames/ and labels in {root}/<sequence>/labels/."
        )
    return found


def _what_there_is(root: Path) -> str:
    """A hint at what stands in the place of sequences."""
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in passed_over.VIDEO_FILES:
            return f", but {path} (a video: give it to wrp import)"
        if path.suffix.lower() in images.SUFFIXES:
            return (
                f", but pictures like {path.name} in no sequence ('wrp propagate --data={root} "
                "--label=000010.png' labels them as one video, from the label of one)"
            )
    deep = next((path for path in sorted(root.glob("*/*/frames")) if path.is_dir()), None)
    return f", but {deep} one level too deep (give {deep.parent.parent})" if deep else ""


def _classes_file(root: Path) -> Path:
    """``classes.json`` of the folder; one sequence of a data set may use its parent's."""
    own, above = root / label_maps.CLASSES_FILE, root.resolve().parent / label_maps.CLASSES_FILE
    return above if (root / "frames").is_dir() and not own.is_file() and above.is_file() else own


def _list_frames(sequence: Path, folder: Path) -> dict[str, Path]:
    """The frames of a sequence in the order of time.

    Args:
      sequence: its folder, where the list of frames is.
      folder: where the pictures are.
    """
    found = _list_pictures(folder, every=folder.name == "frames")
    for name in found:
        check_name(name)
    lists = [path / ORDER_FILE for path in dict.fromkeys((sequence, folder))]
    lists = [path for path in lists if path.exists()]
    if len(lists) > 1:
        raise UserError(f"There are both {lists[0]} and {lists[1]}: remove one of them.")
    if lists and found:
        return {name: found[name] for name in _read_order(lists[0], found)}
    order = in_order(list(found))
    if order.unsure:
        before, after = order.unsure
        _log.warning(
            "%s: the names do not say for certain that %s comes before %s, as it is taken to; to "
            "settle the order write %s, one name per line",
            folder, before, after, sequence / ORDER_FILE,
        )  # fmt: skip
    return {name: found[name] for name in order.names}


def _read_order(path: Path, found: Mapping[str, Path]) -> list[str]:
    """The names of a list of frames, each once; with or without the endings of their files."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8: write one name of a frame per line."
        ) from error
    files = {file.name: name for name, file in found.items()}
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        entry = line.removesuffix("\r")
        entry = entry if entry in found or entry in files else entry.strip()
        name = entry if entry in found else files.get(entry)
        if name is not None:
            names.append(name)
        elif entry and not entry.startswith("#"):
            raise UserError(f"{path}:{number}: there is no frame {entry!r} in {_folder_of(found)}.")
    often = collections.Counter(names).most_common(1)
    if often and often[0][1] > 1:
        raise UserError(f"{path} names the frame {often[0][0]!r} more than once.")
    missing = found.keys() - set(names)
    if missing:
        raise UserError(
            f"{path} does not name the frame {min(missing, key=natural_key)!r} of "
            f"{_folder_of(found)} ({len(missing)} in all): name each frame once, or remove it."
        )
    return names


def _folder_of(found: Mapping[str, Path]) -> Path:
    return next(iter(found.values())).parent


def _list_pictures(folder: Path, *, every: bool = True) -> dict[str, Path]:
    """The pictures of a folder, by their names without endings.

    Args:
      folder: of frames or labels.
      every: name all that is passed over; else what looks like data.
    """
    found: dict[str, Path] = {}
    others: list[Path] = []
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if passed_over.is_system_file(path) or path.name == ORDER_FILE:
            continue
        is_picture = path.suffix.lower() in images.SUFFIXES and not path.name.startswith(".")
        if path.is_dir() or not is_picture:
            others.append(path)
            continue
        if path.stem in found:
            raise UserError(
                f"{folder} has both {found[path.stem].name} and {path.name}: remove one of them."
            )
        found[path.stem] = path
    passed_over.tell_inside_pictures(folder, others, every=every)
    return found
