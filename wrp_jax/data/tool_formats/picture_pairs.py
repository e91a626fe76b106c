"""Frames and labels in two folders, and frames alone.

``images/**`` beside ``labels/**`` (or ``masks``, ``annotations``), as trainers read them, with the
classes from ``classes.json`` beside or from ``--classes``; folders inside become sequences. A
folder of pictures and nothing else is video without labels.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Int32

from wrp_jax.data import label_pictures
from wrp_jax.data.label_maps import CLASSES_FILE
from wrp_jax.data.tool_formats.project import Project, ToolClass, ToolLabel, frames_below
from wrp_jax.data.tool_formats.tree import Tree
from wrp_jax.types import ClassMap, UserError

FRAMES = ("images", "imgs", "img_dir", "data")
LABELS = ("labels", "masks", "annotations", "ann_dir")


def pair_of_folders(tree: Tree) -> tuple[str, str] | None:
    """The folders of frames and labels at the root; None if there are no such.

    Labels may be missing where there is a list of their classes: nobody has made any yet.
    """
    frames, labels = ([f for f in names if tree.pictures(f)] for names in (FRAMES, LABELS))
    if frames and not labels and CLASSES_FILE in tree:
        labels = [LABELS[0]]
    return (frames[0], labels[0]) if frames and labels else None


def read_pairs(tree: Tree, folders: tuple[str, str], classes: ClassMap | None) -> Project:
    """Finds frames and labels.

    Args:
      tree: the export.
      folders: of frames and labels.
      classes: those of the labels.

    Raises:
      UserError: there are no classes.
    """
    if classes is None:
        raise UserError(
            f"{tree.source} holds labels without a list of classes: give --classes=FILE, a "
            "classes.json."
        )
    labels = {
        key: ToolLabel(
            tree.where(name),
            (tree.origin(name),),
            functools.partial(_read, tree, name, classes),
        )
        for key, name in frames_below(tree, folders[1]).items()
    }
    frames = frames_below(tree, folders[0])
    kind = f"{folders[0]} and {folders[1]}"
    return Project(kind, tuple(map(ToolClass, classes.names)), labels, frames, partial=False)


def read_frames(tree: Tree) -> Project:
    """Video without labels: all pictures, folders as sequences."""
    return Project("frames", (), {}, frames_below(tree, ""), partial=False)


def _read(tree: Tree, name: str, classes: ClassMap) -> Int32[np.ndarray, "h w"]:
    return label_pictures.read_label(tree.read(name), classes, tree.where(name))
