"""Label Studio: its JSON (tasks with results, or JSON-MIN), and brush masks as a PNG per region.

Brushes come as packed runs, polygons in percent of the frame. They are drawn in the order of the
task; of several annotations of a task the last one that was not cancelled counts, predictions do
not. One without results is a label on which nothing is drawn; a task without annotations is a frame
without a label. Masks are called ``task-<id>-annotation-<id>-by-<who>-<tag>-<label>-<n>.png``;
which frame a task shows stands in the JSON alone, so that this must lie beside them. Frames are
found by the file name at the end of their address, without the eight digits that Label Studio puts
in front of uploads; exports hold none, so that they come from ``--frames``. Classes are in the
order of their names: the exports do not say which others there are, nor colours.

Reference: Label Studio's documentation, "Export annotations", "Brush labels"; HumanSignal/
label-studio-sdk, ``converter/brush.py``.
"""

from __future__ import annotations

import functools
import itertools
import logging
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

from wrp_jax.data import images
from wrp_jax.data.frame_names import natural_key
from wrp_jax.data.tool_formats import polygons, run_lengths
from wrp_jax.data.tool_formats.project import (
    Project,
    ToolClass,
    ToolLabel,
    named_as,
    paint,
    videos_below,
)
from wrp_jax.data.tool_formats.tree import Tree, is_picture, without_ending
from wrp_jax.types import UserError

MASK_FILE = re.compile(r"task-(\d{1,18})-annotation-(\d{1,18})-by-[^-]*-([^-]+)-(.+)-(\d+)\.png")
_LABELS = ("brushlabels", "polygonlabels", "labels")
_OTHERS = ("rectanglelabels", "ellipselabels", "keypointlabels", "bitmask")
_log = logging.getLogger(__name__)


class _Region(NamedTuple):
    """A brush's runs, a polygon's points in percent, or the path of a mask in the tree."""

    label: str
    height: int
    width: int
    runs: Sequence[int] | None = None
    points: Sequence[Sequence[float]] | None = None
    mask: str = ""


def is_label_studio(content: Any) -> bool:
    """Whether the content of a JSON is a list of Label Studio's tasks."""
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and (
            {"data", "annotations"} <= content[0].keys()
            or {"id", "annotation_id"} <= content[0].keys()
        )
    )


def read_label_studio(tree: Tree, name: str, tasks: Sequence[Any]) -> Project:
    """Finds frames, labels and classes.

    Args:
      tree: the export.
      name: of the JSON in it.
      tasks: its content.

    Raises:
      UserError: a task that names no picture, or a region that is none.
    """
    where = tree.where(name)
    others: dict[str, int] = {}
    regions: dict[str, list[_Region] | None] = {}
    masks = _masks_by_task(tree)
    for number, task in enumerate(tasks):
        if not isinstance(task, dict):
            raise UserError(f"{where}: entry {number} of its list is no task: export it again.")
        try:
            frame = without_ending(_frame_of(task))
            found = [_Region(label, 0, 0, mask=path) for label, path in masks.get(task["id"], ())]
            found = found or _regions(task, others)
        except (
            KeyError,
            TypeError,
            ValueError,
            IndexError,
            AttributeError,
            OverflowError,
        ) as error:
            raise UserError(
                f"{where}: task {task.get('id')} has no picture or a result that cannot be read "
                f"({error}): export pictures with brushes or polygons."
            ) from error
        if frame in regions:
            raise UserError(f"{where} has two tasks of frame {frame}: export one of them.")
        regions[frame] = found
    if others:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        _log.warning("%s: %s passed over, which says nothing of single pixels", where, told)
    labelled = {frame: found for frame, found in regions.items() if found is not None}
    empty = [frame for frame, found in labelled.items() if not found]
    if empty:
        _log.warning(
            "%s: %d annotations hold no region, the first that of %s: nothing is drawn there",
            where, len(empty), empty[0],
        )  # fmt: skip
    names = sorted({r.label for found in labelled.values() for r in found}, key=natural_key)
    order = {label: place for place, label in enumerate(names)}
    labels = {
        frame: ToolLabel(
            f"{where} (frame {frame})",
            (tree.origin(name), *(tree.origin(r.mask) for r in found if r.mask)),
            functools.partial(_draw, tree, found, order, f"{where} (frame {frame})")
            if found
            else None,
        )
        for frame, found in labelled.items()
    }
    frames = {
        key: path
        for key, path in videos_below(tree).items()
        if not MASK_FILE.fullmatch(PurePosixPath(path).name)
    }
    classes = tuple(map(ToolClass, names))
    return Project("Label Studio", classes, named_as(labels, frames), frames, partial=True)


def _frame_of(task: Mapping[str, Any]) -> str:
    """The last part of the address of a task's picture, or its path below where files are served.

    ``/data/local-files/?d=street/000003.jpg`` keeps its folders: they become sequences.
    """
    data = task.get("data", task)
    for value in data.values():
        if not isinstance(value, str):
            continue
        address = urllib.parse.urlsplit(value)
        served = urllib.parse.parse_qs(address.query).get("d")
        path = served[0] if served else urllib.parse.unquote(address.path)
        if is_picture(path):
            return path.strip("/") if served else PurePosixPath(path).name
    raise ValueError("its data name no picture")


def _regions(task: Mapping[str, Any], others: dict[str, int]) -> list[_Region] | None:
    """The regions of a task; none of an annotation without results; None: it is not labelled."""
    if "annotations" in task:
        done = [a for a in task["annotations"] if not a.get("was_cancelled")]
        if len(done) > 1:
            _log.warning("task %s has %d annotations: the last one counts", task["id"], len(done))
        if done and not done[-1]["result"]:
            return []
        results = done[-1]["result"] if done else []
        values = [{**r, **r.get("value", {})} for r in results]
    else:  # JSON-MIN: regions by the name of their tag
        values = [v for tag in task.values() if isinstance(tag, list) for v in tag]
    found = []
    for value in values:
        if not isinstance(value, dict):
            continue
        names: list[str] = next((value[k] for k in _LABELS if k in value), [])
        if not names or not ("rle" in value or "points" in value):
            for kind in _OTHERS:
                others[kind] = others.get(kind, 0) + (kind in value)
            continue
        if len(names) != 1:
            raise ValueError(f"a region of {len(names)} labels")
        height, width = int(value["original_height"]), int(value["original_width"])
        if not 0 < height * width <= images.MAX_PIXELS:
            raise ValueError(f"a picture of {width}x{height}")
        found.append(_Region(str(names[0]), height, width, value.get("rle"), value.get("points")))
    for kind in [kind for kind, count in others.items() if not count]:
        del others[kind]
    return found or None


def _masks_by_task(tree: Tree) -> dict[int, list[tuple[str, str]]]:
    """Label and path of the masks of each task, of its last annotation, in order."""
    found: dict[int, dict[int, list[tuple[str, str]]]] = {}
    for path in tree.files:
        match = MASK_FILE.fullmatch(PurePosixPath(path).name)
        if match:
            by_annotation = found.setdefault(int(match[1]), {})
            by_annotation.setdefault(int(match[2]), []).append((match[4], path))
    return {task: masks[max(masks)] for task, masks in found.items()}


def _draw(
    tree: Tree, regions: Sequence[_Region], order: Mapping[str, int], where: str
) -> Int32[np.ndarray, "h w"]:
    masks = _masks(tree, regions, order, where)
    first = next(masks)
    height, width = first[1].shape
    return paint(itertools.chain([first], masks), len(order), height, width, where)


def _masks(
    tree: Tree, regions: Sequence[_Region], order: Mapping[str, int], where: str
) -> Iterator[tuple[int, Bool[np.ndarray, "h w"]]]:
    """The masks of a frame, all of one size."""
    size = None
    for region in regions:
        try:
            mask = _mask(tree, region)
        except UserError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"{where} has a region of {region.label!r} that is none ({error}): export it again."
            ) from error
        size = size or mask.shape
        if mask.shape != size:
            raise UserError(
                f"{where} has regions of several sizes, {size} and {mask.shape}: export it again."
            )
        yield order[region.label], mask


def _mask(tree: Tree, region: _Region) -> Bool[np.ndarray, "h w"]:
    if region.mask:
        where = tree.where(region.mask)
        picture = images.decode_label(tree.read(region.mask), where)
        if picture.pixels.ndim != 2:
            raise UserError(f"{where} is no grey mask: export it again.")
        return picture.pixels > picture.largest // 2
    if region.runs is not None:
        return run_lengths.read_brush(region.runs, region.height, region.width) > 127
    scale = np.array([region.width, region.height]) / 100
    return polygons.fill(np.asarray(region.points) * scale, region.height, region.width)
