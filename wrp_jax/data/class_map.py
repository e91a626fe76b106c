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


def class_map(classes: Classes, *, void: Collection[str] = ("void",)) -> ClassMap:
    """Makes a class map.

    Args:
      classes: names, whose ids are 0, 1, …; a mapping from ids (0 … 255) to names; the path of a
        ``classes.json``, or its content; or a class map, which is given back as it is.
      void: names of the classes that stand for pixels nobody can name ("void", "ignore"). They
        are carried along like any other and scored apart. A ``classes.json`` has its own list.

    Returns:
      The class map. Classes without a colour get that of PASCAL VOC for their id.

    Raises:
      UserError: ids outside of 0 … 255, repeated ids or names, no class but void, or a file that
        is missing or broken.

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
    # 255 marks pixels without a label: it can be nothing but void.
    ids = [int(i) if isinstance(i, np.integer) else i for i in names]
    entries = [
        {"id": i, "name": name, "void": name in void or i == UNLABELLED}
        for i, name in zip(ids, names.values(), strict=True)
    ]
    return parse_classes({"classes": entries}, "classes")
