"""A class map from what a notebook has at hand: names, ids with names, or a ``classes.json``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wrp_jax.data.label_maps import parse_classes, read_classes
from wrp_jax.types import UNLABELLED, ClassMap, UserError

Classes = Any
"""What ``class_map`` takes; it says itself what it cannot take."""


def class_map(classes: Classes, *, void: str | Collection[str] | None = None) -> ClassMap:
    """Makes a class map.

    Args:
      classes: names, whose ids are 0, 1, …; a mapping from ids (0 … 255) to names; the path of a
        ``classes.json``, or its content; or a class map, which is given back as it is.
      void: name, or names, of the classes that stand for pixels nobody can name ("void",
        "ignore"). They are carried along like any other and scored apart. By default that is a
        class called "void". A ``classes.json`` has its own list. A class with the id 255, which
        marks pixels without a label, must be one of them.

    Returns:
      The class map. Classes without a colour get that of PASCAL VOC for their id.

    Raises:
      UserError: ids outside of 0 … 255, repeated ids or names, no class but void, a class with
        the id 255 that is not void, a void name that no class has, or a file that is missing or
        broken.

    Example:
      >>> class_map(["road", "car"]).ids
      (0, 1)
      >>> class_map({7: "road", 26: "car", 255: "void"}).void
      (False, False, True)
    """
    if isinstance(classes, ClassMap):
        return classes
    if isinstance(classes, str | os.PathLike):
        return read_classes(Path(classes))
    if isinstance(classes, Mapping) and "classes" in classes:
        return parse_classes(dict(classes), "classes")
    if isinstance(classes, Mapping):
        names = dict(classes)
    elif isinstance(classes, Sequence):
        names = dict(enumerate(classes))
    else:
        raise UserError(
            f"classes is of type {type(classes).__name__}: give names, {{id: name}}, the path of a "
            "classes.json or a ClassMap."
        )
    marked = ("void",) if void is None else (void,) if isinstance(void, str) else tuple(void)
    unknown = [name for name in marked if name not in names.values()]
    if void is not None and unknown:
        raise UserError(
            f"void names {unknown[0]!r}, which no class is called: use names out of "
            f"{', '.join(map(str, names.values()))}."
        )
    ids = [int(i) if isinstance(i, np.integer) else i for i in names]
    entries = [
        {"id": i, "name": name, "void": name in marked}
        for i, name in zip(ids, names.values(), strict=True)
    ]
    for entry in entries:
        if entry["id"] == UNLABELLED and not entry["void"]:
            raise UserError(
                f"class {entry['name']!r} has the id 255, which marks pixels without a label: give "
                f"it another id in classes and labels, or void=[{entry['name']!r}] if it is void."
            )
    return parse_classes({"classes": entries}, "classes")
