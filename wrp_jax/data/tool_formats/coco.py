"""COCO's JSON: panoptic (a PNG of segments per frame), and instances or stuff (polygons and runs).

Every JSON at the root or in ``annotations`` that has ``images``, ``annotations`` and ``categories``
is read; those without segmentations (captions, key points alone) say nothing. Instances of one
category are one class, crowds too. They are drawn in the order of the file, crowds first; boxes
without a segmentation are told. Frames are found by ``file_name``.

In a panoptic PNG the number of a segment is R + 256 G + 256² B, and 0 is nothing.

Reference: cocodataset.org, "Data format"; cocodataset/panopticapi, ``utils.py``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

from wrp_jax.data import images as pictures
from wrp_jax.data.tool_formats import polygons, run_lengths
from wrp_jax.data.tool_formats.project import Project, ToolClass, ToolLabel, paint
from wrp_jax.data.tool_formats.tree import Tree, has_name, without_ending
from wrp_jax.types import UserError

_log = logging.getLogger(__name__)


VOID_MARK = "wrp_void"
"""In an entry of ``images`` without annotations that ``wrp export`` writes: it is all void."""


class _Image(NamedTuple):
    name: str
    height: int
    width: int
    void: bool


def is_coco(content: Any) -> bool:
    """Whether the content of a JSON is COCO's."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_coco(tree: Tree, contents: Mapping[str, Any]) -> Project:
    """Finds frames, labels and classes.

    Args:
      tree: the export.
      contents: by their paths the JSON in it that are COCO's.

    Raises:
      UserError: an entry that is none, or files that disagree about categories.
    """
    categories: dict[int, ToolClass] = {}
    for name, content in contents.items():
        _add_categories(categories, content["categories"], tree.where(name))
    order = {id_: place for place, id_ in enumerate(categories)}
    files = _Files(tree)
    labels: dict[str, ToolLabel] = {}
    images: dict[str, _Image] = {}
    for name, content in contents.items():
        where = tree.where(name)
        try:
            listed = _listed(content["images"])
            by_image: dict[Any, list[Any]] = {}
            for annotation in content["annotations"]:
                by_image.setdefault(annotation["image_id"], []).append(annotation)
            unknown = by_image.keys() - listed.keys()
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{where} has an entry that is none of COCO's ({error!r}).") from error
        if unknown:
            raise UserError(
                f"{where} has annotations of an image {min(unknown, key=repr)!r} that it lacks."
            )
        for id_, image in listed.items():
            key = without_ending(image.name)
            images.setdefault(key, image)
            label = _label(tree, files, name, image, by_image.get(id_, ()), order)
            if label is None:
                continue
            if key in labels:
                raise UserError(
                    f"{labels[key].where} and {label.where} are both labels of frame {key}: move "
                    "one of the files away, or correct the entries."
                )
            labels[key] = label
    folders = frozenset(PurePosixPath(name).stem for name in contents)
    found = {key: files.find(i.name, folders, inside=False) for key, i in images.items()}
    frames = {key: path for key, path in found.items() if path is not None}
    return Project("COCO", tuple(categories.values()), labels, frames, partial=True)


def _add_categories(found: dict[int, ToolClass], entries: Any, where: str) -> None:
    try:
        for entry in entries:
            color = entry.get("color")
            rgb = None if color is None else (int(color[0]), int(color[1]), int(color[2]))
            if rgb is not None and not all(0 <= v <= 255 for v in rgb):
                rgb = None
            new = ToolClass(str(entry["name"]), rgb, int(entry["id"]))
            if found.setdefault(new.id or 0, new).name != new.name:
                raise UserError(
                    f"{where} calls category {new.id} {new.name!r}, another file "
                    f"{found[new.id or 0].name!r}: import them apart."
                )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(f"{where} has a category that is none ({error!r}).") from error


def _listed(entries: Any) -> dict[Any, _Image]:
    found: dict[Any, _Image] = {}
    for entry in entries:
        if entry["id"] in found:
            raise ValueError(f"two images have the id {entry['id']!r}")
        found[entry["id"]] = _image(entry)
    return found


def _image(entry: Mapping[str, Any]) -> _Image:
    void = entry.get(VOID_MARK) is True
    image = _Image(str(entry["file_name"]), int(entry["height"]), int(entry["width"]), void)
    if not has_name(image.name):
        raise ValueError(f"an image has the name {image.name!r}")
    if image.height < 1 or image.width < 1 or image.height * image.width > pictures.MAX_PIXELS:
        raise ValueError(f"{image.name} of {image.width}x{image.height}")
    return image


def _label(
    tree: Tree,
    files: _Files,
    name: str,
    image: _Image,
    annotations: Sequence[Any],
    order: Mapping[int, int],
) -> ToolLabel | None:
    where, origin = f"{tree.where(name)} (frame {image.name})", tree.origin(name)
    panoptic = [a for a in annotations if "segments_info" in a]
    if panoptic:
        wanted = str(panoptic[-1].get("file_name"))
        wanted = f"{without_ending(wanted)}.png" if has_name(wanted) else ""
        png = files.find(wanted, frozenset({PurePosixPath(name).stem}), inside=True)
        if png is None:
            raise UserError(
                f"{where}: there is no {panoptic[-1].get('file_name')}: put the folder of panoptic "
                "PNG beside the JSON."
            )
        segments = panoptic[-1]["segments_info"]
        read = functools.partial(_read_panoptic, tree, png, segments, order, where)
        return ToolLabel(tree.where(png), (tree.origin(png), origin), read)
    drawn = [a for a in annotations if a.get("segmentation")]
    if len(drawn) < len(annotations):
        count = len(annotations) - len(drawn)
        _log.warning("%s: %d annotations without a segmentation are passed over", where, count)
    if not drawn and not (image.void and not annotations):
        return None
    drawn.sort(key=lambda a: not a.get("iscrowd"))
    return ToolLabel(where, (origin,), functools.partial(_draw, drawn, image, order, where))


def _read_panoptic(
    tree: Tree, png: str, segments: Any, order: Mapping[int, int], where: str
) -> Int32[np.ndarray, "h w"]:
    picture = pictures.decode_label(tree.read(png), tree.where(png))
    if picture.mode not in ("RGB", "RGBA"):
        raise UserError(f"{tree.where(png)} is no RGB picture of segments: export it again.")
    numbers = picture.pixels[..., :3].astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])
    try:
        place = {int(s["id"]): order[int(s["category_id"])] for s in segments}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where} has a segment without a known category ({error!r}).") from error
    place[0] = len(order)
    present, back = np.unique(numbers, return_inverse=True)
    back = back.reshape(numbers.shape)
    for at, number in enumerate(present.tolist()):
        if number not in place:
            y, x = (int(v) for v in np.argwhere(back == at)[0])
            raise UserError(
                f"{tree.where(png)} has a segment {number} at row {y}, column {x}, which the JSON "
                "does not describe: export both again."
            )
    return np.array([place[n] for n in present.tolist()], np.int32)[back]


def _draw(
    annotations: Sequence[Any], image: _Image, order: Mapping[int, int], where: str
) -> Int32[np.ndarray, "h w"]:
    shapes = _masks(annotations, image, order, where)
    return paint(shapes, len(order), image.height, image.width, where)


def _masks(
    annotations: Sequence[Any], image: _Image, order: Mapping[int, int], where: str
) -> Iterator[tuple[int, Bool[np.ndarray, "h w"]]]:
    for annotation in annotations:
        try:
            place = order[int(annotation["category_id"])]
            mask = _mask(annotation["segmentation"], image)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise UserError(
                f"{where}, annotation {annotation.get('id')}: it has no category or segmentation "
                f"that can be read ({error})."
            ) from error
        yield place, mask


def _mask(segmentation: Any, image: _Image) -> Bool[np.ndarray, "h w"]:
    if isinstance(segmentation, list):
        mask = np.zeros((image.height, image.width), bool)
        for polygon in segmentation:
            points = np.asarray(polygon, np.float64).reshape(-1, 2)
            mask |= polygons.fill(points, image.height, image.width)
        return mask
    if list(segmentation["size"]) != [image.height, image.width]:
        raise ValueError(f"its mask is {segmentation['size']}, not {[image.height, image.width]}")
    counts = segmentation["counts"]
    runs = run_lengths.coco_counts(counts) if isinstance(counts, str) else counts
    if not all(isinstance(run, int) for run in runs):
        raise ValueError("its runs are no whole numbers")
    flat = run_lengths.runs_to_mask(runs, image.height * image.width)
    return flat.reshape(image.width, image.height).T


class _Files:
    """Files by the ends of their paths."""

    def __init__(self, tree: Tree):
        self._by_last: dict[str, list[str]] = {}
        for name in tree.files:
            self._by_last.setdefault(PurePosixPath(name).name, []).append(name)

    def find(self, name: str, folders: frozenset[str], *, inside: bool) -> str | None:
        """The only file whose path ends in a name, which may have folders.

        Args:
          name: of a frame or of a PNG of segments, which may be the same.
          folders: of segments, called like their JSON.
          inside: whether those in such folders are meant, where there are any, or the others.
        """
        wanted = PurePosixPath(name).parts
        found = [
            f
            for f in self._by_last.get(wanted[-1] if wanted else "", ())
            if PurePosixPath(f).parts[-len(wanted) :] == wanted
        ]
        in_folders = [f for f in found if not folders.isdisjoint(PurePosixPath(f).parts[:-1])]
        if in_folders:
            found = in_folders if inside else [f for f in found if f not in in_folders]
        return found[0] if len(found) == 1 else None
