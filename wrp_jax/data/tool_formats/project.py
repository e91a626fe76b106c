"""What a reader of a tool's export says of it, and how its classes become those of a folder.

A reader gives labels as places in its own list of classes, ``len(classes)`` where nothing was
drawn. Here they get ids: of the class map that is given, or of ``classes.json`` in the export, by
their names; else the tool's own where it has such, or their places.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from jaxtyping import Int32

from wrp_jax.data.frame_names import natural_key
from wrp_jax.data.label_maps import classes_to_json, default_palette, parse_classes
from wrp_jax.data.public_sets.convert import picture_size
from wrp_jax.data.public_sets.public_set import Packed, Picture, Pixels, PublicSet
from wrp_jax.data.tool_formats.tree import Tree, unique_names, without_ending
from wrp_jax.files.output import check_name
from wrp_jax.types import UNLABELLED, ClassMap, UserError

VOID_NAMES = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled"})
"""Classes of these names stand for pixels that nobody can name, whatever their case."""
BACKGROUND = "background"
NOTHING = "unlabelled"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""Label Studio puts eight digits in front of the names of files that are uploaded."""
_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


def free_name(names: Collection[str], *preferred: str) -> str:
    """A name for what has no class, which none of the classes has."""
    more = (f"{NOTHING} {number}" for number in range(2, len(names) + 3))
    return next(n for n in (*preferred, NOTHING, "no class", *more) if n not in names)


@dataclasses.dataclass(frozen=True)
class ToolClass:
    """A class as a tool has it.

    Attributes:
      name: its name.
      color: RGB, where the tool has one.
      id: its id in the tool, where that has ids of its own.
    """

    name: str
    color: tuple[int, int, int] | None = None
    id: int | None = None


@dataclasses.dataclass(frozen=True)
class ToolLabel:
    """A label as a tool has it.

    Attributes:
      where: what to name in messages.
      files: on disk, that it is made from.
      read: gives places in the list of classes, ``len(classes)`` where nothing was drawn; None:
        nothing was drawn on the whole frame, whose size the tool does not say.
    """

    where: str
    files: tuple[Path, ...]
    read: Callable[[], Int32[np.ndarray, "h w"]] | None


@dataclasses.dataclass(frozen=True)
class Project:
    """What a reader finds in an export.

    Attributes:
      kind: the format, in words.
      classes: in the order of the tool.
      labels: by the path of the frame, without its ending and without what leads to all frames.
      frames: paths in the tree by the same; those of frames without a label, too.
      partial: whether there may be pixels on which nothing was drawn.
    """

    kind: str
    classes: tuple[ToolClass, ...]
    labels: Mapping[str, ToolLabel]
    frames: Mapping[str, str]
    partial: bool


def frames_below(tree: Tree, folder: str) -> dict[str, str]:
    """The pictures of a folder by their paths in it without endings, and where they lie.

    Raises:
      UserError: two of them differ in their endings alone.
    """
    found: dict[str, str] = {}
    for name in tree.pictures(folder):
        key = without_ending(name.removeprefix(f"{folder}/") if folder else name)
        if key in found:
            raise UserError(
                f"{tree.where(found[key])} and {tree.where(name)} are both frame {key}: remove one."
            )
        found[key] = name
    return found


def to_set(
    project: Project,
    tree: Tree,
    *,
    name: str,
    frames: Tree | None = None,
    classes: ClassMap | None = None,
    void: Collection[str] = (),
) -> PublicSet:
    """Gives the labels of a project ids, and their frames a place.

    Args:
      project: what was found.
      tree: where.
      name: of the sequence of frames that lie in no folder.
      frames: where further frames lie, for exports that hold none.
      classes: those to use, by name; None: the tool's.
      void: names of classes that are void, where no ``classes`` are given.

    Raises:
      UserError: labels without frames, two sequences of one name, names that no file can have, or
        classes that no ``classes.json`` holds: of one name, or more than 256.
    """
    places, labels = _frame_places(project, tree, frames)
    missing = [key for key in labels if key not in places]
    if missing:
        first = labels[missing[0]].where
        raise UserError(
            f"{first} is a label of {missing[0]}, a frame that is not there ({len(missing)} of "
            f"{len(labels)} labels have none): give --frames=FOLDER with the frames."
        )
    target, ids = _resolve(project, classes, void)
    if target.num_classes:  # what the folder's readers will refuse is not written
        parse_classes(classes_to_json(target), str(tree.source))
    pictures, folders = [], {}
    for key in sorted(places, key=natural_key):
        folder, _, frame = key.rpartition("/")
        sequence = folder.replace("/", "_")
        sequence = name if sequence in ("", "frames", "labels") else sequence  # which mean others
        if folders.setdefault(sequence, folder) != folder:
            raise UserError(
                f"{tree.source} has folders {folders[sequence] or '.'} and {folder}, which both "
                f"would become the sequence {sequence}: rename one."
            )
        check_name(sequence)
        check_name(frame)
        pictures.append(
            Picture(
                sequence, frame, places[key], _labelled(labels.get(key), places[key], project, ids)
            )
        )
    return PublicSet(target, {i: i for i in target.ids}, tuple(pictures), {}, keep_void=True)


def _frame_places(
    project: Project, tree: Tree, frames: Tree | None
) -> tuple[dict[str, Path | Packed], dict[str, ToolLabel]]:
    """Where each frame lies, and the labels by the same names.

    Labels without a frame in the export are looked for among the further frames, by path or by
    file name. They get the names that these have, and so do the other frames in the same folders:
    they belong to the same video.
    """
    labels = _in_one_spelling(project.labels, str(tree.source))
    named = _in_one_spelling(project.frames, str(tree.source))
    places = {key: _place(tree, path) for key, path in named.items()}
    if frames is None:
        return places, labels
    given = _in_one_spelling(videos_below(frames), str(frames.source))
    labels = named_as(labels, {*places, *given})
    used = {key.rpartition("/")[0] for key in labels if key in given and key not in places}
    for key, path in given.items():
        if key.rpartition("/")[0] in used:
            places.setdefault(key, _place(frames, path))
    return places, labels


def _in_one_spelling(found: Mapping[str, _Value], where: str) -> dict[str, _Value]:
    """By names in Unicode's composed form: file systems and packers differ in that of an umlaut.

    Raises:
      UserError: two names that look the same.
    """
    spelt: dict[str, _Value] = {}
    for name, value in found.items():
        composed = unicodedata.normalize("NFC", name)
        if composed in spelt:
            raise UserError(f"{where} has two files of the name {composed}: rename one.")
        spelt[composed] = value
    return spelt


def videos_below(tree: Tree) -> dict[str, str]:
    """All pictures, by their paths without endings and without folders called frames or images."""
    return {_sequence_path(key): path for key, path in frames_below(tree, "").items()}


def named_as(labels: Mapping[str, ToolLabel], frames: Collection[str]) -> dict[str, ToolLabel]:
    """The labels by the names of their frames.

    That is the frame of the same path, of a path that its ends in, or the only one of its name.

    Raises:
      UserError: two labels of one frame.
    """
    lasts = unique_names({key: key for key in frames})
    found: dict[str, ToolLabel] = {}
    for key, label in labels.items():
        last = PurePosixPath(key).name
        uploaded = _UPLOADED.fullmatch(last)
        folders = _sequence_path(key).split("/")
        ends = ("/".join(folders[start:]) for start in range(len(folders)))
        frame = key if key in frames else next((e for e in ends if e in frames), lasts.get(last))
        if frame is None and uploaded:
            frame = lasts.get(uploaded[1])
        frame = frame or key
        if frame in found:
            raise UserError(f"{found[frame].where} and {label.where} are both labels of {frame}.")
        found[frame] = label
    return found


def _sequence_path(key: str) -> str:
    """``street/000003`` of ``street/frames/000003`` or ``images/street/000003``."""
    *folders, name = key.split("/")
    return "/".join([*(f for f in folders if f not in ("frames", "images")), name])


def _place(tree: Tree, name: str) -> Path | Packed:
    path = tree.path(name)
    if path is not None:
        return path
    suffix = PurePosixPath(name).suffix.lower()
    read = functools.partial(tree.read, name)
    return Packed(tree.where(name), tree.origin(name), suffix, read, tree.size(name))


def _resolve(
    project: Project, given: ClassMap | None, void: Collection[str]
) -> tuple[ClassMap, list[int]]:
    """The class map, and the id of every class of the tool and of nothing; -1 for none."""
    names = [c.name.strip() for c in project.classes]
    if given is not None:
        # A colon separates in CVAT's labelmap.txt, and is a space there.
        by_name = {n.replace(":", " "): i for n, i in zip(given.names, given.ids, strict=True)}
        by_name |= dict(zip(given.names, given.ids, strict=True))
        ids = [by_name.get(name, -1) for name in names]
        void_index = given.void_index
        nothing = by_name.get(BACKGROUND, -1) if void_index is None else given.ids[void_index]
        # Tools add a class "background" of their own for pixels on which nothing was drawn.
        ids = [
            nothing if i < 0 and n.lower() == BACKGROUND else i
            for i, n in zip(ids, names, strict=True)
        ]
        return given, [*ids, nothing]
    unknown = set(void) - set(names)
    if unknown:
        raise UserError(
            f"--void names {min(unknown)!r}, which no class is called: use names out of "
            f"{', '.join(names)}."
        )
    is_void = [n in void or n.lower() in VOID_NAMES for n in names]
    ids = _ids(project.classes, is_void)
    colors = [
        c.color or tuple(default_palette()[i].tolist())
        for c, i in zip(project.classes, ids, strict=True)
    ]
    lower = [n.lower() for n in names]
    nothing = -1
    if any(is_void):
        nothing = ids[is_void.index(True)]
    elif BACKGROUND in lower:
        nothing = ids[lower.index(BACKGROUND)]
    elif project.partial:
        nothing = UNLABELLED
        ids, names = [*ids, nothing], [*names, NOTHING]
        colors, is_void = [*colors, (0, 0, 0)], [*is_void, True]
    if len(ids) > 256 or len(set(ids)) < len(ids):
        raise UserError(f"it has {len(ids)} classes: labels of 8 bits tell 256 apart.")
    target = ClassMap(
        tuple(ids), tuple(names), np.array(colors, np.uint8).reshape(-1, 3), tuple(is_void)
    )
    return target, [*ids[: len(project.classes)], nothing]


def _ids(classes: Sequence[ToolClass], void: Sequence[bool]) -> list[int]:
    """The tool's ids where labels of 8 bits can hold them, else 0, 1, 2 and so on."""
    own = [c.id for c in classes]
    kept = [i for i in own if i is not None and 0 <= i <= UNLABELLED]
    reserved = any(i == UNLABELLED and not v for i, v in zip(own, void, strict=True))
    if len(kept) == len(own) == len(set(kept)) and not reserved:
        return kept
    if any(i is not None for i in own):
        _log.warning("ids of classes beyond 255 are numbered anew, from 0; classes.json has them")
    return list(range(len(own)))


def _labelled(
    label: ToolLabel | None, frame: Path | Packed, project: Project, ids: Sequence[int]
) -> Pixels | None:
    if label is None:
        return None
    read = functools.partial(_read_ids, label, frame, project, tuple(ids))
    return Pixels(label.where, label.files[0], read, label.files[1:])


def _read_ids(
    label: ToolLabel, frame: Path | Packed, project: Project, ids: Sequence[int]
) -> Int32[np.ndarray, "h w"]:
    if label.read is None:
        places = np.full(picture_size(frame), len(project.classes), np.int32)
    else:
        places = label.read()
    found = np.array(ids, np.int32)[places]
    if found.size and found.min() < 0:
        y, x = (int(v) for v in np.argwhere(found < 0)[0])
        place = int(places[y, x])
        count = int((places == place).sum())
        if place == len(project.classes):
            raise UserError(
                f"{label.where} leaves {count} pixels without a class, the first at row {y}, "
                f"column {x}: add a class {BACKGROUND!r}, or one that is void, to --classes."
            )
        raise UserError(
            f"{label.where} has {count} pixels of {project.classes[place].name!r}, the first at "
            f"row {y}, column {x}, a class that --classes does not have: add it there."
        )
    return found


def paint(
    shapes: Iterable[tuple[int, np.ndarray]], nothing: int, height: int, width: int, where: str
) -> Int32[np.ndarray, "h w"]:
    """Draws masks over one another, the last on top; tells where two classes meet.

    Args:
      shapes: place of the class, and its pixels ``[H, W]`` bool, from the bottom to the top; an
        iterator keeps one mask in memory, and a frame may have thousands.
      nothing: where no mask is.
      height: of the picture.
      width: of the picture.
      where: what to name in the message.
    """
    label = np.full((height, width), nothing, np.int32)
    covered = 0
    for place, mask in shapes:
        covered += int((mask & (label != nothing) & (label != place)).sum())
        label[mask] = place
    if covered:
        _log.warning(
            "%s: %d pixels belong to several classes; the one on top counts", where, covered
        )
    return label
