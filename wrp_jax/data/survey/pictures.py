"""What the pictures of one folder have in common: frames or labels, kinds, sizes, ids, colours."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from wrp_jax import interrupts
from wrp_jax.data import images
from wrp_jax.data.frame_names import in_order
from wrp_jax.data.images import LabelPicture
from wrp_jax.data.tool_formats.tree import Tree, without_ending
from wrp_jax.types import UserError

FEW_COLORS = 64
"""A label has not more colours; a photograph has."""
_LABEL_FOLDERS = frozenset(
    {"labels", "masks", "annotations", "segmentationclass", "gtfine", "gtcoarse", "ann_dir"}
)
_FRAME_FOLDERS = frozenset({"frames", "jpegimages", "images"})
_KINDS = {
    "1": "1-bit", "L": "8-bit grey", "P": "palette", "I;16": "16-bit grey", "I;16B": "16-bit grey",
    "I": "16-bit grey", "RGB": "RGB", "RGBA": "RGB with alpha", "LA": "grey with alpha",
}  # fmt: skip


@dataclasses.dataclass
class Pictures:
    """The pictures of one folder, as far as they were looked at.

    Attributes:
      folder: its path in the tree, empty for the root.
      names: of all of them, without endings.
      is_labels: whether they are labels; else frames.
      looked_at: how many were opened.
      kinds: how many of them are grey, palette, RGB and so on.
      sizes: how many have which height and width.
      ids: in how many labels each value occurs, of grey and palette.
      colors: as ``ids``, of RGB.
      palette: the first palette.
      odd: sentences about pictures that cannot be read, of other sizes and so on.
      gaps: neighbours in time between which numbers are missing.
    """

    folder: str
    names: tuple[str, ...]
    is_labels: bool = False
    looked_at: int = 0
    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    sizes: collections.Counter[tuple[int, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    ids: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    colors: collections.Counter[tuple[int, int, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    palette: np.ndarray | None = None
    odd: list[str] = dataclasses.field(default_factory=list)
    gaps: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def look_at(tree: Tree, folder: str, files: Sequence[str], limit: int) -> Pictures:
    """Looks at the pictures of a folder.

    Args:
      tree: where they lie.
      folder: its path there.
      files: the pictures, in natural order.
      limit: so many are opened at most, spread over all.
    """
    found = Pictures(folder, tuple(PurePosixPath(without_ending(f)).name for f in files))
    step = max(1, -(-len(files) // limit))
    lossy: list[str] = []
    found.is_labels = _are_labels(folder, None)
    for name in files[::step]:
        interrupts.check()
        try:
            picture = _open(tree, name)
        except UserError as error:
            found.odd.append(str(error))
            continue
        found.looked_at += 1
        size = picture if isinstance(picture, tuple) else picture.pixels.shape[:2]
        found.sizes[int(size[0]), int(size[1])] += 1
        if isinstance(picture, tuple):
            lossy.append(name)
            continue
        if found.looked_at == len(lossy) + 1:  # the first that may be a label
            found.is_labels = _are_labels(folder, picture)
        count(found, picture, tree.where(name))
    if lossy:
        found.kinds["JPEG"] = len(lossy)
    found.odd += [
        f"{tree.where(name)} is JPEG, which changes ids: save labels as PNG from the lossless "
        "original."
        for name in (lossy if found.is_labels else ())
    ]
    if len(found.sizes) > 1:
        (usual, _), *others = found.sizes.most_common()
        found.odd.append(
            f"{tree.where(folder)} has pictures of {_size(usual)} and of "
            f"{', '.join(_size(size) for size, _ in others[:3])}: a sequence has one size."
        )
    if not found.is_labels:
        found.gaps = gaps(found.names)
    return found


def _open(tree: Tree, name: str) -> LabelPicture | tuple[int, int]:
    """A picture as it is; of JPEG its size."""
    data = tree.read(name)
    if data.startswith(b"\xff\xd8"):
        return images.frame_size(data, tree.where(name))
    return images.decode_label(data, tree.where(name))


def _are_labels(folder: str, first: LabelPicture | None) -> bool:
    """By the name of the folder, or else the first picture that is no JPEG."""
    parts = [part.lower() for part in folder.split("/")]
    if _LABEL_FOLDERS & set(parts):
        return True
    if _FRAME_FOLDERS & set(parts) or parts[-1] == "confidence":
        return False
    if first is None:
        return False
    if first.pixels.ndim == 2:
        return len(np.unique(first.pixels)) <= FEW_COLORS
    return len(np.unique(first.pixels.reshape(-1, first.pixels.shape[-1]), axis=0)) <= FEW_COLORS


def count(found: Pictures, picture: LabelPicture, where: str) -> None:
    """Adds what a picture holds: its kind, and the ids or colours of a label.

    Args:
      found: of its folder; this is what is changed.
      picture: it.
      where: what to name in messages.
    """
    found.kinds[_KINDS.get(picture.mode, picture.mode)] += 1
    if not found.is_labels:
        return
    if picture.pixels.dtype.kind == "f":
        found.odd.append(f"{where} holds {picture.pixels.dtype} numbers: labels hold whole ids.")
    elif picture.pixels.ndim == 2:
        found.ids.update(int(v) for v in np.unique(picture.pixels))
        if found.palette is None:
            found.palette = picture.palette
    else:
        flat = picture.pixels.reshape(-1, picture.pixels.shape[-1])[:, :3]
        for color in np.unique(flat, axis=0)[:FEW_COLORS].tolist():
            if len(color) == 3:
                found.colors[color[0], color[1], color[2]] += 1


def gaps(names: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbours whose numbers are further apart than those of most."""
    order = in_order(list(names))
    if order.numbers is None or len(names) < 3:
        return []
    steps = [b - a for a, b in itertools.pairwise(order.numbers)]
    usual = collections.Counter(steps).most_common(1)[0][0]
    pairs = zip(itertools.pairwise(order.names), steps, strict=True)
    return [pair for pair, step in pairs if step > usual]


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
