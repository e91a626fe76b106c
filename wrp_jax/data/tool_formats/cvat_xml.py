"""CVAT's own XML, "CVAT for images 1.1" and "CVAT for video 1.1": masks and polygons.

``annotations.xml`` beside ``images``. Shapes are drawn in the order of ``z_order``. A mask is
counted in runs along the rows of its rectangle; a polygon of a track holds for the frames that name
it and are not ``outside``. Frames of video are called ``frame_000000`` and so on. Boxes, lines,
points and skeletons say nothing of single pixels: they are told and passed over. A frame without
any shape is one without a label.

Reference: CVAT's documentation, "XML annotation format"; cvat-ai/cvat,
``apps/dataset_manager/formats/cvat.py``.
"""

from __future__ import annotations

import functools
import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

from wrp_jax.data.images import MAX_PIXELS
from wrp_jax.data.tool_formats import polygons, run_lengths
from wrp_jax.data.tool_formats.project import Project, ToolClass, ToolLabel, frames_below, paint
from wrp_jax.data.tool_formats.tree import MAX_TEXT, Tree, has_name, without_ending
from wrp_jax.types import UserError

FILE, FRAMES = "annotations.xml", "images"
_SHAPES = ("mask", "polygon")
_OTHERS = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton", "tag")
_log = logging.getLogger(__name__)


class _Shape(NamedTuple):
    element: ET.Element
    label: str
    z_order: int


class _Image(NamedTuple):
    name: str
    height: int
    width: int
    shapes: list[_Shape]


def is_cvat_xml(data: bytes) -> bool:
    """Whether a file begins as CVAT's XML does."""
    return b"<annotations" in data[:1000]


def read_cvat_xml(tree: Tree, name: str) -> Project:
    """Finds frames, labels and classes.

    Args:
      tree: the export.
      name: of the XML in it.

    Raises:
      UserError: it is no XML of CVAT, or a shape has a label that is not declared.
    """
    where = tree.where(name)
    root = _parse(tree.read(name, MAX_TEXT), where)
    classes = _classes(root, where)
    places = {c.name: i for i, c in enumerate(classes)}
    images = _images(root, where)
    labels = {}
    for image in images:
        for shape in image.shapes:
            if shape.label not in places:
                raise UserError(
                    f"{where}: frame {image.name} has a shape of {shape.label!r}, which is none of "
                    "the labels at its beginning: export it again."
                )
        if image.shapes:
            key = without_ending(image.name)
            if key in labels:
                raise UserError(
                    f"{where} has shapes of two frames {key}: import the tasks of a project one by "
                    "one."
                )
            read = functools.partial(_draw, image, places, f"{where} (frame {image.name})")
            labels[key] = ToolLabel(f"{where} (frame {image.name})", (tree.origin(name),), read)
    folder = FRAMES if FRAMES in tree.folders() else ""
    frames = frames_below(tree, folder)
    return Project("CVAT's XML", classes, labels, _named_in(tree, frames, labels), partial=True)


def _named_in(
    tree: Tree, frames: Mapping[str, str], labels: Mapping[str, object]
) -> dict[str, str]:
    """Frames without the folders of subsets that CVAT puts in front of those of a project."""
    found: dict[str, str] = {}
    for key, path in frames.items():
        rest = key.partition("/")[2]
        key = rest if rest in labels and key not in labels else key
        if key in found:
            raise UserError(
                f"{tree.where(found[key])} and {tree.where(path)} are both frame {key}: import the "
                "tasks of a project one by one."
            )
        found[key] = path
    return found


def _parse(data: bytes, where: str) -> ET.Element:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UserError(f"{where} declares types or entities, which CVAT never does: not read.")
    if b"\0" in data:  # in UTF-16 such declarations look otherwise
        raise UserError(f"{where} is no XML in UTF-8, as CVAT writes it: export it again.")
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{where} is no XML or is cut off ({error}): export it again.") from error
    if root.tag != "annotations":
        raise UserError(f"{where} is XML, but none of CVAT: its root is {root.tag!r}.")
    return root


def _classes(root: ET.Element, where: str) -> tuple[ToolClass, ...]:
    found: dict[str, ToolClass] = {}
    meta = root.find("meta")
    for element in () if meta is None else meta.iter("label"):
        name = (element.findtext("name") or "").strip()
        color = (element.findtext("color") or "").lstrip("#")
        if not name or element.find("parent") is not None:
            continue
        try:
            red, green, blue = bytes.fromhex(color)
            found.setdefault(name, ToolClass(name, (red, green, blue)))
        except ValueError:
            found.setdefault(name, ToolClass(name))
    if not found:
        raise UserError(f"{where} declares no labels: export the whole task from CVAT.")
    return tuple(found.values())


def _images(root: ET.Element, where: str) -> list[_Image]:
    others: dict[str, int] = {}
    images = []
    for element in root.iter("image"):
        name = element.get("name") or ""
        height, width = (_whole(element, key, where) for key in ("height", "width"))
        if not has_name(name) or height < 1 or width < 1 or height * width > MAX_PIXELS:
            raise UserError(f"{where}: image {name!r} of {width}x{height} is none: export again.")
        shapes = [_shape(e, e.get("label") or "", where) for e in element if e.tag in _SHAPES]
        images.append(_Image(name, height, width, shapes))
        _count_others(element, others)
    images += _tracked(root, where, others)
    if others:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        _log.warning("%s: %s passed over, which says nothing of single pixels", where, told)
    for image in images:
        image.shapes.sort(key=lambda shape: shape.z_order)
    return images


def _tracked(root: ET.Element, where: str, others: dict[str, int]) -> list[_Image]:
    """The frames of video on which tracks have shapes."""
    tracks = root.findall("track")
    if not tracks:
        return []
    size = root.find("meta//original_size")
    if size is None:
        raise UserError(f"{where} has tracks and no original_size: export it again.")
    texts = [size.findtext(key) or "" for key in ("height", "width")]
    height, width = (int(t) if re.fullmatch("[0-9]{1,9}", t) else 0 for t in texts)
    if not 0 < height * width <= MAX_PIXELS:
        raise UserError(f"{where}: original_size {texts} is none: export it again.")
    by_frame: dict[int, list[_Shape]] = {}
    for track in tracks:
        for element in track:
            if element.tag in _SHAPES and element.get("outside") != "1":
                shape = _shape(element, track.get("label") or "", where)
                by_frame.setdefault(_whole(element, "frame", where), []).append(shape)
        _count_others(track, others)
    return [
        _Image(f"frame_{frame:06d}", height, width, shapes)
        for frame, shapes in sorted(by_frame.items())
    ]


def _count_others(element: ET.Element, others: dict[str, int]) -> None:
    for child in element:
        if child.tag in _OTHERS:
            others[child.tag] = others.get(child.tag, 0) + 1


def _shape(element: ET.Element, label: str, where: str) -> _Shape:
    z_order = _whole(element, "z_order", where) if element.get("z_order") else 0
    return _Shape(element, label, z_order)


def _whole(element: ET.Element, key: str, where: str) -> int:
    try:
        return int(element.get(key) or "")
    except ValueError as error:
        raise UserError(
            f"{where}: {key}={element.get(key)!r} of a {element.tag} is no whole number: export "
            "it again."
        ) from error


def _draw(image: _Image, places: Mapping[str, int], where: str) -> Int32[np.ndarray, "h w"]:
    shapes = ((places[s.label], _mask(s.element, image, where)) for s in image.shapes)
    return paint(shapes, len(places), image.height, image.width, where)


def _mask(element: ET.Element, image: _Image, where: str) -> Bool[np.ndarray, "h w"]:
    try:
        if element.tag == "polygon":
            points = [
                [float(v) for v in p.split(",")] for p in element.get("points", "").split(";")
            ]
            return polygons.fill(points, image.height, image.width)
        left, top, width, height = (
            _whole(element, key, where) for key in ("left", "top", "width", "height")
        )
        if min(left, top) < 0 or left + width > image.width or top + height > image.height:
            raise ValueError(f"its mask reaches beyond the frame of {image.width}x{image.height}")
        counts = [int(run) for run in element.get("rle", "").split(",")]
        mask = np.zeros((image.height, image.width), bool)
        part = run_lengths.runs_to_mask(counts, width * height)
        mask[top : top + height, left : left + width] = part.reshape(height, width)
        return mask
    except UserError:
        raise
    except ValueError as error:
        raise UserError(
            f"{where} has a {element.tag} that is none ({error}): export it again."
        ) from error
