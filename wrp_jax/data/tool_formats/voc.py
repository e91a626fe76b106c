"""Pictures of classes beside frames, as PASCAL VOC has them and CVAT ("Segmentation mask 1.1").

``JPEGImages/<name>.jpg``, ``SegmentationClass/<name>.png`` and, by CVAT, ``labelmap.txt`` with a
line ``name:r,g,b:parts:actions`` for each class. Labels are read by their colours, whether they are
RGB or have a palette; grey ones hold places in the list. Names may have folders in front, which
become sequences. Without ``labelmap.txt`` the classes are VOC's 21, and 255 is its void.

Frames that ``ImageSets/Segmentation`` does not list are frames without labels, and so are those
that it lists without one.

Reference: Everingham et al., IJCV 2010, and the development kit of VOC2012, section 4.2; CVAT's
documentation of "Segmentation mask"; cvat-ai/datumaro, ``plugins/data_formats/voc``.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from wrp_jax.data import images
from wrp_jax.data.label_maps import default_palette
from wrp_jax.data.label_pictures import find_colors, refuse_transparent
from wrp_jax.data.tool_formats.project import Project, ToolClass, ToolLabel, frames_below
from wrp_jax.data.tool_formats.tree import MAX_TEXT, Tree
from wrp_jax.types import UserError

FRAMES, LABELS, LABEL_MAP = "JPEGImages", "SegmentationClass", "labelmap.txt"
VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOC_VOID = (224, 224, 192)
_VOID_INDEX = 255
_BLACK = (0, 0, 0)
"""What CVAT draws where nothing is drawn, usually a class ``background`` of its own."""


def read_voc(tree: Tree) -> Project:
    """Finds frames, labels and classes.

    Args:
      tree: with ``SegmentationClass`` at its root.

    Raises:
      UserError: no label, or a ``labelmap.txt`` that is none.
    """
    ours = LABEL_MAP in tree
    classes = _read_label_map(tree) if ours else _voc_classes()
    files = (tree.origin(LABEL_MAP),) if ours else ()
    labels = {
        key: ToolLabel(
            tree.where(name),
            (tree.origin(name), *files),
            functools.partial(_read_label, tree, name, classes, is_voc=not ours),
        )
        for key, name in frames_below(tree, LABELS).items()
    }
    if not labels and not ours:
        raise UserError(f"{tree.where(LABELS)} holds no pictures: export the labels as well.")
    kind = "CVAT's segmentation masks" if ours else "PASCAL VOC"
    partial = _BLACK not in (c.color for c in classes)
    return Project(kind, classes, labels, frames_below(tree, FRAMES), partial=partial)


def _voc_classes() -> tuple[ToolClass, ...]:
    colors = default_palette().tolist()
    named = [ToolClass(n, tuple(colors[i]), i) for i, n in enumerate(VOC_NAMES)]
    return (*named, ToolClass("void", VOC_VOID, _VOID_INDEX))


def _read_label_map(tree: Tree) -> tuple[ToolClass, ...]:
    where = tree.where(LABEL_MAP)
    try:
        lines = tree.read(LABEL_MAP, MAX_TEXT).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is no text in UTF-8: export it again.") from error
    classes: list[ToolClass] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *rest = line.strip().split(":")
        parts = rest[0].split(",") if rest and rest[0] else []
        values = [int(p) for p in parts if re.fullmatch("[0-9]{1,3}", p.strip())]
        if (
            not name
            or len(parts) not in (0, 3)
            or len(values) != len(parts)
            or any(v > 255 for v in values)
        ):
            raise UserError(
                f"{where}:{number}: {line!r} is no 'name:red,green,blue:parts:actions'."
            )
        if name in (c.name for c in classes):
            raise UserError(f"{where}:{number}: the class {name!r} stands there twice.")
        color = values or default_palette()[len(classes) % 256].tolist()
        classes.append(ToolClass(name, (color[0], color[1], color[2])))
    if not classes:
        raise UserError(f"{where} names no class: export it again.")
    return tuple(classes)


def _read_label(
    tree: Tree, name: str, classes: tuple[ToolClass, ...], *, is_voc: bool
) -> Int32[np.ndarray, "h w"]:
    where = tree.where(name)
    picture = images.decode_label(tree.read(name), where)
    pixels = picture.pixels
    if picture.mode == "P" and picture.palette is not None:
        if is_voc:  # its palette says nothing: indices are the classes
            return _of_indices(pixels, classes, where)
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(picture.palette)] = picture.palette
        pixels = palette[pixels]
    elif pixels.ndim == 2:
        return _of_indices(pixels, classes, where)
    if pixels.shape[-1] in (2, 4):
        refuse_transparent(pixels, where)
    if pixels.shape[-1] == 2:
        return _of_indices(pixels[..., 0], classes, where)
    return places_of_colors(pixels[..., :3], classes, where, LABEL_MAP, nothing=_BLACK)


def places_of_colors(
    pixels: np.ndarray,
    classes: tuple[ToolClass, ...],
    where: Path | str,
    listed_in: str,
    nothing: tuple[int, int, int] | None = None,
) -> Int32[np.ndarray, "h w"]:
    """The class of each pixel by its colour.

    Args:
      pixels: RGB.
      classes: with colours.
      where: what to name in messages.
      listed_in: the file of the classes, for messages.
      nothing: the colour of pixels on which nothing was drawn, unless a class has it.

    Raises:
      UserError: a colour that no class has, or that two classes in use have.
    """
    colors = np.array([c.color or (0, 0, 0) for c in classes], np.uint8)
    places = find_colors(pixels, colors)
    if nothing is not None:
        places = np.where((places < 0) & (pixels == nothing).all(-1), len(classes), places)
    if places.size and places.min() < 0:
        y, x = (int(v) for v in np.argwhere(places < 0)[0])
        raise UserError(
            f"{where} has the colour {pixels[y, x].tolist()} at row {y}, column {x}, which "
            f"{listed_in} does not have ({int((places < 0).sum())} pixels have such colours): add "
            "its class there, or export again."
        )
    for place in np.unique(places[places < len(classes)]).tolist():
        same = [c.name for c in classes if c.color == classes[place].color]
        if len(same) > 1:
            raise UserError(
                f"{where} has the colour {colors[place].tolist()}, that of {same[0]!r} and of "
                f"{same[1]!r}: give each class a colour of its own in the tool."
            )
    return places


def _of_indices(
    pixels: np.ndarray, classes: tuple[ToolClass, ...], where: str
) -> Int32[np.ndarray, "h w"]:
    table = np.full(257, -1, np.int32)
    table[: len(classes)] = np.arange(min(len(classes), 257))
    if classes[-1].id == _VOID_INDEX:
        table[len(classes) - 1], table[_VOID_INDEX] = -1, len(classes) - 1
    places = table[np.minimum(pixels.astype(np.int32), 256)]
    if places.size and places.min() < 0:
        y, x = (int(v) for v in np.argwhere(places < 0)[0])
        raise UserError(
            f"{where} has the index {int(pixels[y, x])} at row {y}, column {x}, which is none of "
            f"its {len(classes)} classes: export it again, with labelmap.txt."
        )
    return places
