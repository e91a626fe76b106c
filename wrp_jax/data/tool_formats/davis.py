"""DAVIS and sets like it: objects of videos by their numbers.

``JPEGImages/480p/<sequence>/*.jpg`` and ``Annotations/480p/<sequence>/*.png``. The folder of the
resolution may be missing (YouTube-VOS). Labels hold the numbers of objects, or 0 and 255 (DAVIS
2016), which become the classes background and object. In labels of several objects 255 is void. All
labels are looked at to know how many objects there are.

Reference: Perazzi et al., CVPR 2016; Pont-Tuset et al., arXiv 1704.00675.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Int32

from wrp_jax import interrupts
from wrp_jax.data import images
from wrp_jax.data.tool_formats.project import Project, ToolClass, ToolLabel, frames_below
from wrp_jax.data.tool_formats.tree import Tree
from wrp_jax.types import UserError

FRAMES, LABELS = "JPEGImages", "Annotations"
_RESOLUTIONS = ("480p", "Full-Resolution", "1080p")
_VOID = 255


def read_davis(tree: Tree) -> Project:
    """Finds frames, labels and how many objects they have.

    Args:
      tree: with both folders at its root.

    Raises:
      UserError: there are several resolutions, or a label is none.
    """
    there = [r for r in _RESOLUTIONS if tree.pictures(f"{LABELS}/{r}")]
    if len(there) > 1:
        raise UserError(f"{tree.where(LABELS)} holds {' and '.join(there)}: move one of them away.")
    below = f"/{there[0]}" if there else ""
    pictures = frames_below(tree, LABELS + below)
    values: set[int] = set()
    for name in pictures.values():
        interrupts.check()
        values |= set(np.unique(_pixels(tree, name)).tolist())
    binary = values <= {0, _VOID}
    objects = [_VOID] if binary else sorted(values - {0, _VOID})
    names = ["object"] if binary else [f"object {number}" for number in objects]
    classes = [ToolClass("background", (0, 0, 0), 0)]
    classes += [ToolClass(n, None, 1 if binary else i) for n, i in zip(names, objects, strict=True)]
    numbers = [0, *objects]
    if not binary and _VOID in values:
        classes.append(ToolClass("void", (224, 224, 192), _VOID))
        numbers.append(_VOID)
    table = np.zeros(256, np.int32)
    table[numbers] = np.arange(len(numbers))
    labels = {
        key: ToolLabel(
            tree.where(name), (tree.origin(name),), functools.partial(_read, tree, name, table)
        )
        for key, name in pictures.items()
    }
    return Project(
        "DAVIS", tuple(classes), labels, frames_below(tree, FRAMES + below), partial=False
    )


def _pixels(tree: Tree, name: str) -> np.ndarray:
    where = tree.where(name)
    picture = images.decode_label(tree.read(name), where)
    pixels = picture.pixels
    if picture.mode == "1":
        pixels = np.where(pixels, np.uint8(_VOID), np.uint8(0))
    if pixels.ndim == 3:
        mask = pixels[..., 0]
        if picture.mode != "RGB" or (pixels != mask[..., None]).any() or set(np.unique(mask)) - {
            0, _VOID
        }:  # fmt: skip
            raise UserError(f"{where} is a colour picture: it must hold numbers of objects.")
        pixels = mask
    if pixels.dtype != np.uint8:
        raise UserError(f"{where} holds {pixels.dtype} samples: it must hold numbers of objects.")
    return pixels


def _read(tree: Tree, name: str, table: np.ndarray) -> Int32[np.ndarray, "h w"]:
    return table[_pixels(tree, name)]
