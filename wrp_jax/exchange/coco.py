"""COCO's JSON with frames in ``images``: panoptic, and stuff as compressed runs.

Every class but void is a category with the id of ``classes.json``; in a frame it is one segment,
and void is what no segment covers. A frame without a label is an entry of ``images`` without
annotations. A label that is void alone has none either as stuff: its entry is marked. Reference:
as of ``data/tool_formats/coco.py``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from wrp_jax.data import images
from wrp_jax.data.tool_formats import run_lengths
from wrp_jax.data.tool_formats.coco import VOID_MARK
from wrp_jax.exchange.labelled_frames import ExportedFrame, Labels
from wrp_jax.exchange.sink import Sink
from wrp_jax.types import ClassMap

PANOPTIC, STUFF = "panoptic_default", "stuff_default"


def write_panoptic(labels: Labels, sink: Sink) -> None:
    """Writes ``annotations/panoptic_default.json`` and a PNG of segments for each frame."""
    entries, annotations = [], []
    for number, item in enumerate(labels, 1):
        entries.append(_frame(item, number, sink))
        if item.label is None:
            continue
        segments = _parts(item.label, labels.classes)
        picture = np.zeros((*item.label.shape, 3), np.uint8)
        for segment, (_, mask) in enumerate(segments, 1):
            picture[mask] = (segment % 256, segment // 256, 0)
        sink.put(f"annotations/{PANOPTIC}/{item.key}.png", images.encode_png(picture))
        annotations.append(
            {
                "image_id": number,
                "file_name": f"{item.key}.png",
                "segments_info": [
                    {"id": segment, **_described(mask, labels.classes.ids[index])}
                    for segment, (index, mask) in enumerate(segments, 1)
                ],
            }
        )
    _write(sink, PANOPTIC, labels.classes, entries, annotations)


def write_stuff(labels: Labels, sink: Sink) -> None:
    """Writes ``annotations/stuff_default.json``."""
    entries, annotations = [], []
    for number, item in enumerate(labels, 1):
        entry = _frame(item, number, sink)
        entries.append(entry)
        if item.label is None:
            continue
        parts = _parts(item.label, labels.classes)
        if not parts:
            entry[VOID_MARK] = True
        for index, mask in parts:
            counts = run_lengths.coco_text(run_lengths.mask_to_runs(mask.T.ravel()))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    **_described(mask, labels.classes.ids[index]),
                    "segmentation": {"size": list(mask.shape), "counts": counts},
                }
            )
    _write(sink, STUFF, labels.classes, entries, annotations)


def _frame(item: ExportedFrame, number: int, sink: Sink) -> dict[str, Any]:
    name = f"{item.key}{item.suffix}"
    sink.put(f"images/{name}", item.frame)
    height, width = item.size
    return {"id": number, "file_name": name, "height": height, "width": width}


def _parts(
    label: Int32[np.ndarray, "h w"], classes: ClassMap
) -> list[tuple[int, Bool[np.ndarray, "h w"]]]:
    """The classes of a label but void, and their pixels."""
    present = np.unique(label).tolist()
    return [(index, label == index) for index in present if index != classes.void_index]


def _described(mask: Bool[np.ndarray, "h w"], category: int) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    return {"category_id": category, "area": int(mask.sum()), "bbox": box, "iscrowd": 0}


def _write(
    sink: Sink,
    name: str,
    classes: ClassMap,
    entries: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
) -> None:
    rows = zip(classes.ids, classes.names, classes.colors.tolist(), strict=True)
    categories = [
        {"id": id_, "name": title, "supercategory": "", "color": color, "isthing": 0}
        for place, (id_, title, color) in enumerate(rows)
        if place != classes.void_index
    ]
    content = {
        "info": {"description": "labels of wrp_jax"},
        "licenses": [],
        "images": entries,
        "annotations": annotations,
        "categories": categories,
    }
    sink.put(f"annotations/{name}.json", json.dumps(content).encode())
