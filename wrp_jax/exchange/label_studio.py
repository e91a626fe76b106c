"""Label Studio's tasks with brush masks, its labelling configuration, and the frames.

``tasks.json`` is imported as it is. It names frames by their paths below the folder in which the
project lies, for Label Studio's local storage. Void is what nobody has brushed over: a label that
is void alone is an annotation without brushes, and a frame without a label has no annotation.
Reference: as of ``data/tool_formats/label_studio.py``.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Int32

from wrp_jax.data.tool_formats import run_lengths
from wrp_jax.exchange.labelled_frames import ExportedFrame, Labels
from wrp_jax.exchange.sink import Sink
from wrp_jax.types import ClassMap

_TAG, _IMAGE = "tag", "image"


def write_label_studio(labels: Labels, sink: Sink) -> None:
    """Writes ``tasks.json``, ``config.xml`` and ``images``."""
    tasks = []
    for number, item in enumerate(labels, 1):
        path = f"images/{item.key}{item.suffix}"
        sink.put(path, item.frame)
        address = urllib.parse.quote(f"{sink.name}/{path}")
        tasks.append(
            {
                "id": number,
                "data": {_IMAGE: f"/data/local-files/?d={address}"},
                "annotations": _annotations(item, number, labels.classes),
            }
        )
    sink.put("tasks.json", json.dumps(tasks).encode())
    sink.put("config.xml", _config(labels.classes).encode())


def _annotations(item: ExportedFrame, number: int, classes: ClassMap) -> list[dict[str, Any]]:
    if item.label is None:
        return []
    result = _brushes(item.key, item.label, classes)
    return [{"id": number, "was_cancelled": False, "result": result}]


def _brushes(key: str, label: Int32[np.ndarray, "h w"], classes: ClassMap) -> list[dict[str, Any]]:
    height, width = label.shape
    results = []
    for index in np.unique(label).tolist():
        if index == classes.void_index:
            continue
        name = classes.names[index]
        region = hashlib.sha256(f"{key} {name}".encode()).hexdigest()[:10]
        results.append(
            {
                "id": region,
                "type": "brushlabels",
                "from_name": _TAG,
                "to_name": _IMAGE,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": run_lengths.write_brush(label == index),
                    "brushlabels": [name],
                },
            }
        )
    return results


def _config(classes: ClassMap) -> str:
    rows = zip(classes.names, classes.colors.tolist(), strict=True)
    labels = "\n".join(
        f"    <Label value={quoteattr(name)} background={quoteattr('#' + bytes(color).hex())}/>"
        for place, (name, color) in enumerate(rows)
        if place != classes.void_index
    )
    return (
        f'<View>\n  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true"/>\n'
        f'  <BrushLabels name="{_TAG}" toName="{_IMAGE}">\n{labels}\n  </BrushLabels>\n</View>\n'
    )
