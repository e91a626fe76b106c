"""Pictures of classes beside frames: CVAT's "Segmentation mask 1.1", and PASCAL VOC.

For CVAT labels are RGB, in colours of their own, as it writes them itself. For VOC they hold the
places of the classes in ``labelmap.txt`` with these colours as their palette, 255 for void.
Reference: as of ``data/tool_formats/voc.py``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from wrp_jax.data import images
from wrp_jax.data.label_maps import default_palette
from wrp_jax.data.tool_formats.project import BACKGROUND, free_name
from wrp_jax.data.tool_formats.voc import FRAMES, LABEL_MAP, LABELS, VOC_VOID
from wrp_jax.exchange.labelled_frames import Labels
from wrp_jax.exchange.sink import Sink
from wrp_jax.types import ClassMap, UserError

_BLACK = (0, 0, 0)
_VOID_INDEX = 255


def write_cvat(labels: Labels, sink: Sink) -> None:
    """Writes the project that CVAT imports; black is nothing, as for CVAT itself."""
    classes = labels.classes
    colors = _own_colors(classes)
    lower = [name.lower() for name in classes.names]
    is_free = _BLACK not in map(tuple, colors.tolist())
    if is_free and BACKGROUND in lower:
        colors[lower.index(BACKGROUND)] = _BLACK
    rows = list(zip(classes.names, colors.tolist(), strict=True))
    if is_free and BACKGROUND not in lower:
        rows.append((BACKGROUND, list(_BLACK)))
    _write_label_map(sink, rows)
    names = []
    for item in labels:
        sink.put(f"{FRAMES}/{item.key}{item.suffix}", item.frame)
        if item.label is not None:
            sink.put(f"{LABELS}/{item.key}.png", images.encode_png(colors[item.label]))
        names.append(item.key)
    _write_list(sink, "default", names)


def write_voc(labels: Labels, sink: Sink) -> None:
    """Writes a tree like VOC's; void is 255, and frames without a label are those of ``test``."""
    classes = labels.classes
    kept = [i for i in range(classes.num_classes) if i != classes.void_index]
    colors = _own_colors(classes)
    void = classes.void_index
    rows = [(classes.names[i], colors[i].tolist()) for i in kept]
    void_color = colors[void] if void is not None else np.array(VOC_VOID, np.uint8)
    free = free_name(classes.names, "void")
    rows.append((free if void is None else classes.names[void], void_color.tolist()))
    _write_label_map(sink, rows)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(kept)] = colors[kept]
    palette[_VOID_INDEX] = void_color
    table = np.full(classes.num_classes, _VOID_INDEX, np.uint8)
    table[kept] = np.arange(len(kept))
    names, without = [], []
    for item in labels:
        sink.put(f"{FRAMES}/{item.key}{item.suffix}", item.frame)
        if item.label is None:
            without.append(item.key)
            continue
        sink.put(f"{LABELS}/{item.key}.png", images.encode_png(table[item.label], palette))
        names.append(item.key)
    for part, keys in (("train", names), ("trainval", names), ("test", without)):
        _write_list(sink, part, keys)


def _own_colors(classes: ClassMap) -> UInt8[np.ndarray, "c 3"]:
    """The colours of the classes, another where two have the same or one that is not void is black.

    Black is what tools take for nothing.
    """
    spare = (tuple(c) for c in default_palette().tolist())
    taken = {tuple(c) for c in classes.colors.tolist()} | {_BLACK}
    used: set[tuple[int, ...]] = set()
    colors = []
    for name, color, void in zip(classes.names, classes.colors.tolist(), classes.void, strict=True):
        mine = tuple(color)
        if mine in used or (mine == _BLACK and not void and name.lower() != BACKGROUND):
            mine = next(c for c in spare if c not in taken)
            taken.add(mine)
        used.add(mine)
        colors.append(mine)
    return np.array(colors, np.uint8)


def _write_label_map(sink: Sink, rows: list[tuple[str, list[int]]]) -> None:
    names = [name.replace(":", " ") for name, _ in rows]
    for name in names:
        if name.startswith("#") or names.count(name) > 1:
            raise UserError(
                f"class {name!r} cannot stand in {LABEL_MAP}, where # begins a remark, a colon is "
                "a space and names differ: give it another name."
            )
    lines = [f"{n}:{','.join(map(str, c))}::" for n, (_, c) in zip(names, rows, strict=True)]
    text = "\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n"
    sink.put(LABEL_MAP, text.encode())


def _write_list(sink: Sink, part: str, names: list[str]) -> None:
    if not names:
        return
    sink.put(f"ImageSets/Segmentation/{part}.txt", "".join(f"{n}\n" for n in names).encode())
