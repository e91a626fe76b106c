"""Trees that trainers read: Cityscapes, and ``images`` beside ``labels``, with ids or trainIds.

Labels are plain grey PNG: what any program reads from them are the ids. trainIds count the classes
but void in the order of ``classes.json``; 255 is void, and what is not known.

Reference: mcordts/cityscapesScripts, ``helpers/labels.py``.
"""

from __future__ import annotations

import json

import numpy as np
from jaxtyping import UInt8

from wrp_jax.data import images, label_maps
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.data.tool_formats.cityscapes_tree import FRAME_END, FRAMES, LABEL_END, LABELS, NUMBER
from wrp_jax.data.tool_formats.project import free_name
from wrp_jax.exchange.labelled_frames import Labels
from wrp_jax.exchange.sink import Sink
from wrp_jax.types import ClassMap, UserError

_VOID = 255


def write_train_ids(labels: Labels, sink: Sink) -> None:
    """Writes ``images``, ``labels`` and their ``classes.json``."""
    classes = labels.classes
    table = _train_ids(classes)
    void = classes.void_index
    rows = zip(table.tolist(), classes.names, classes.colors.tolist(), strict=False)
    entries = [
        {"id": id_, "name": name, "color": color, "void": False}
        for id_, name, color in rows
        if id_ != _VOID
    ]
    name = free_name(classes.names) if void is None else classes.names[void]
    color = [0, 0, 0] if void is None else classes.colors[void].tolist()
    entries.append({"id": _VOID, "name": name, "color": color, "void": True})
    text = json.dumps({"classes": entries}, indent=1) + "\n"
    label_maps.parse_classes({"classes": entries}, label_maps.CLASSES_FILE)
    sink.put(label_maps.CLASSES_FILE, text.encode())
    for item in labels:
        sink.put(f"images/{item.key}{item.suffix}", item.frame)
        if item.label is not None:
            sink.put(f"labels/{item.key}.png", images.encode_png(table[item.label]))


def write_grey_ids(labels: Labels, sink: Sink) -> None:
    """Writes ``images``, and ``labels`` with the ids of the classes."""
    table = np.array(labels.classes.ids, np.uint8)
    for item in labels:
        sink.put(f"images/{item.key}{item.suffix}", item.frame)
        if item.label is not None:
            sink.put(f"labels/{item.key}.png", images.encode_png(table[item.label]))


def write_fiftyone(labels: Labels, sink: Sink) -> None:
    """Writes FiftyOne's ``ImageSegmentationDirectory``, with the names of its pixel values beside.

    FiftyOne takes 0 for nothing and draws the others: void, and what is not known, is 0; the
    classes count from 1 in the order of ``classes.json``. ``mask_targets.json`` is what
    ``Dataset.default_mask_targets`` takes.

    Reference: voxel51/fiftyone, ``fiftyone/utils/data/importers.py``.
    """
    classes = labels.classes
    table = _train_ids(classes) + 1  # 255 becomes 0
    void = classes.void_index
    rows = zip(table.tolist(), classes.names, classes.colors.tolist(), strict=False)
    entries = [
        {"id": value, "name": name, "color": color, "void": False}
        for value, name, color in rows
        if value
    ]
    targets = {str(entry["id"]): entry["name"] for entry in entries}
    name = free_name(classes.names) if void is None else classes.names[void]
    color = [0, 0, 0] if void is None else classes.colors[void].tolist()
    entries.append({"id": 0, "name": name, "color": color, "void": True})
    label_maps.parse_classes({"classes": entries}, label_maps.CLASSES_FILE)
    for path, content in (
        (label_maps.CLASSES_FILE, {"classes": entries}),
        ("mask_targets.json", targets),
    ):
        sink.put(path, (json.dumps(content, indent=1) + "\n").encode())
    for item in labels:
        sink.put(f"data/{item.key}{item.suffix}", item.frame)
        if item.label is not None:
            sink.put(f"labels/{item.key}.png", images.encode_png(table[item.label]))


def write_cityscapes(labels: Labels, sink: Sink) -> None:
    """Writes ``leftImg8bit/train`` and ``gtFine/train`` with labelIds, trainIds and colours.

    Where there are frames without a label, ``leftImg8bit_sequence/train`` holds all frames, as in
    the set.

    Raises:
      UserError: a class that Cityscapes does not have.
    """
    classes, theirs = labels.classes, cityscapes_classes()
    by_name = dict(zip(theirs.names, range(theirs.num_classes), strict=True))
    places = [by_name.get(name.lower().replace("_", " "), -1) for name in classes.names]
    if classes.void_index is not None:
        places[classes.void_index] = theirs.num_classes - 1
    if -1 in places:
        raise UserError(
            f"class {classes.names[places.index(-1)]!r} is none of Cityscapes' 19: call it as "
            "there, or export --to=train-ids."
        )
    place = np.array([*places, theirs.num_classes - 1])
    ids, train_ids = np.array(theirs.ids, np.uint8), _train_ids(theirs)
    has_others = len(labels.labelled) < len(labels.frames)
    for item in labels:
        name = f"train/{item.sequence}/{item.sequence}_{NUMBER}_{item.name}"
        frame = item.png()
        if has_others:
            sink.put(f"{FRAMES[1]}/{name}{FRAME_END}.png", frame)
        if item.label is None:
            continue
        found = place[item.label]
        begin = f"{LABELS}/{name}"
        sink.put(f"{FRAMES[0]}/{name}{FRAME_END}.png", frame)
        sink.put(f"{begin}{LABEL_END}", images.encode_png(ids[found]))
        sink.put(f"{begin}_gtFine_labelTrainIds.png", images.encode_png(train_ids[found]))
        sink.put(f"{begin}_gtFine_color.png", images.encode_png(theirs.colors[found]))


def _train_ids(classes: ClassMap) -> UInt8[np.ndarray, " n"]:
    """The trainId of every class and of nothing."""
    table = np.full(classes.num_classes + 1, _VOID, np.uint8)
    kept = [i for i in range(classes.num_classes) if i != classes.void_index]
    if len(kept) > _VOID:
        raise UserError(f"there are {len(kept)} classes: trainIds tell {_VOID} apart.")
    table[kept] = np.arange(len(kept))
    return table
