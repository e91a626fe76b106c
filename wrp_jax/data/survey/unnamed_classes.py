"""The classes of labels that come without a list of them: one for each id or colour in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from wrp_jax.data.survey.pictures import Pictures

VOID = 255
"""The id that labels of 8 bits keep for pixels that nobody can name."""


def is_mask(ids: Collection[int]) -> bool:
    """Whether these are the values of a 0/255 mask, in which 255 is an object and not void."""
    return VOID in ids and set(ids) <= {0, VOID}


def unnamed_classes(labels: Sequence[Pictures]) -> dict[str, Any]:
    """The content of a ``classes.json`` for labels of which nothing but their pixels is known.

    Of a 0/255 mask the classes are background (0) and object (1). Else each id in use is a class,
    255 the void one, with the colour that the palette gives it; colours are numbered from the
    darkest.

    Args:
      labels: what their pixels hold.

    Returns:
      Its list of classes is empty where nothing was seen.
    """
    ids = set().union(*(p.ids for p in labels))
    if is_mask(ids):
        return entries({0: "background", 1: "object"}, {})
    if not ids:
        colors = sorted(set().union(*(p.colors for p in labels)))
        names = {i: f"class {i}" for i in range(min(len(colors), VOID))}
        return entries(names, {i: list(colors[i]) for i in names})
    kept = sorted(i for i in ids if i <= VOID)
    palette = next((p.palette for p in labels if p.palette is not None), np.zeros((0, 3)))
    colors = {i: [int(v) for v in palette[i]] for i in kept if i < len(palette)}
    return entries({i: "void" if i == VOID else f"class {i}" for i in kept}, colors)


def entries(names: Mapping[int, str], colors: Mapping[int, list[int]]) -> dict[str, Any]:
    """The content of a ``classes.json``; a class with the id 255 is void.

    Args:
      names: by id.
      colors: RGB by id; ids that have none get the default colour.
    """
    return {
        "classes": [
            {"id": i, "name": name, **({"color": colors[i]} if i in colors else {}),
             **({"void": True} if i == VOID else {})}
            for i, name in names.items()
        ]
    }  # fmt: skip
