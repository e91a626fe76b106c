"""Trees like that of Cityscapes: archives of it, and those that ``wrp export`` writes.

``leftImg8bit`` or ``leftImg8bit_sequence`` with ``<split>/<city>/<name>_leftImg8bit.png``, and
``gtFine/<split>/<city>/<name>_gtFine_labelIds.png``. A city becomes a sequence. Names begin with
it and a number that ``wrp export`` gives, which go where all frames of the city share them. The set
itself, unpacked, is read by ``public_sets/cityscapes.py``, with its snippets and lists.

Reference: mcordts/cityscapesScripts, README and ``helpers/labels.py``.
"""

from __future__ import annotations

import functools
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int32

from wrp_jax.data import images
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes, cityscapes_ids
from wrp_jax.data.tool_formats.project import Project, ToolClass, ToolLabel
from wrp_jax.data.tool_formats.tree import Tree
from wrp_jax.types import UserError

FRAMES, LABELS = ("leftImg8bit", "leftImg8bit_sequence"), "gtFine"
FRAME_END, LABEL_END = "_leftImg8bit", "_gtFine_labelIds.png"
NUMBER = "000000"
"""Between city and frame in names that are written."""


def read_cityscapes_tree(tree: Tree) -> Project:
    """Finds frames and labels; the classes are Cityscapes' 19 and void.

    Args:
      tree: with ``gtFine`` at its root.
    """
    classes = cityscapes_classes()
    named = zip(classes.names, classes.colors.tolist(), classes.ids, strict=True)
    tools = tuple(ToolClass(n, (c[0], c[1], c[2]), i) for n, c, i in named)
    frames = {}
    for folder in FRAMES:
        for name in tree.pictures(folder):
            stem = PurePosixPath(name).stem
            if stem.endswith(FRAME_END):
                frames[_key(name, stem.removesuffix(FRAME_END))] = name
    labels = {}
    for name in tree.pictures(LABELS):
        if name.endswith(LABEL_END):
            key = _key(name, PurePosixPath(name).name.removesuffix(LABEL_END))
            read = functools.partial(_read_label, tree, name)
            labels[key] = ToolLabel(tree.where(name), (tree.origin(name),), read)
    return Project("a tree of Cityscapes", tools, labels, frames, partial=False)


def _key(path: str, name: str) -> str:
    city = PurePosixPath(path).parent.name
    return f"{city}/{name.removeprefix(f'{city}_{NUMBER}_')}"


def _read_label(tree: Tree, name: str) -> Int32[np.ndarray, "h w"]:
    where = tree.where(name)
    pixels = images.decode_label(tree.read(name), where).pixels
    classes, ids = cityscapes_classes(), cityscapes_ids()
    table = np.full(256, -1, np.int32)
    for id_, ours in ids.items():
        table[id_] = classes.ids.index(ours)
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise UserError(f"{where} is no 8-bit picture of labelIds: export it again.")
    places = table[pixels]
    if places.size and places.min() < 0:
        y, x = (int(v) for v in np.argwhere(places < 0)[0])
        raise UserError(
            f"{where} has the id {int(pixels[y, x])} at row {y}, column {x}, which is none of "
            "Cityscapes' labelIds: correct it."
        )
    return places
