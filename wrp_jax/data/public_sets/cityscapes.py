"""Cityscapes, fine and coarse labels: 19 classes and void.

``leftImg8bit/<split>/<city>/<name>_leftImg8bit.png`` beside
``gtFine/<split>/<city>/<name>_gtFine_labelIds.png`` and
``gtCoarse/<split>/<city>/<name>_gtCoarse_labelIds.png``, all parts of the set unpacked into one
place. Sequences are named after quality, split and city (``coarse_train_extra_augsburg``), lists
after the first two (``fine_train``).

Where ``leftImg8bit_sequence/<split>`` is there too, each labelled frame of that split becomes a
sequence of its own (``fine_train_aachen_000000_000019``) with the frames of its snippet: it is the
20th of 30. ``fine_train_windows`` lists the frames up to ten before and ten after it.

Reference: Cordts et al., CVPR 2016; ids, names and colours as in mcordts/cityscapesScripts,
``helpers/labels.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wrp_jax.data.public_sets.public_set import Picture, PublicSet, check_frames, labelled
from wrp_jax.types import ClassMap, UserError

QUALITIES = {"fine": "gtFine", "coarse": "gtCoarse"}
"""Folder of the labels and part of their file names, by what the names of sequences begin with."""

_SPLITS = ("train", "val", "train_extra")
"""The labels of ``test`` are kept by the authors: the files there say nothing."""

BEFORE, AFTER = 19, 10
"""Frames of a snippet before and after its labelled one."""

WINDOW = 10
"""Frames on both sides of the labelled one that the paper propagates to (4.1)."""

_CLASSES = (
    (7, "road", (128, 64, 128)), (8, "sidewalk", (244, 35, 232)), (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)), (13, "fence", (190, 153, 153)), (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)), (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)), (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)), (24, "person", (220, 20, 60)), (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)), (27, "truck", (0, 0, 70)), (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)), (32, "motorcycle", (0, 0, 230)), (33, "bicycle", (119, 11, 32)),
    (0, "void", (0, 0, 0)),
)  # fmt: skip

_LABEL_IDS = (*range(34), 255)
"""What ``labelIds`` may hold; 255 is the license plate, -1 in the table of the authors."""


def cityscapes_classes() -> ClassMap:
    """The 19 classes in the order of their trainIds, with the ids of the files, and void."""
    ids, names, colors = zip(*_CLASSES, strict=True)
    return ClassMap(ids, names, np.array(colors, np.uint8), tuple(i == 0 for i in ids))


def cityscapes_ids() -> dict[int, int]:
    """``labelIds`` as they are for the classes that are scored, 0 for the others."""
    scored = cityscapes_classes().ids
    return {i: i if i in scored else 0 for i in _LABEL_IDS}


def read_cityscapes(data: Path) -> PublicSet:
    """Finds the labels of Cityscapes and their frames.

    Args:
      data: holds ``leftImg8bit`` and ``gtFine``, ``gtCoarse`` or both.

    Raises:
      UserError: there is no label, one without its frame, or snippets that lack frames.
    """
    parts = {
        f"{quality}_{split}": found
        for quality in QUALITIES
        for split in _SPLITS
        if (found := tuple(_pictures(data, quality, split)))
    }
    windows = {}
    for part, pictures in parts.items():
        folder = data / "leftImg8bit_sequence" / part.partition("_")[2]
        if folder.is_dir():
            parts[part] = _snippets(folder, pictures)
            windows[f"{part}_windows"] = tuple(map(_window, labelled(parts[part])))
    if not parts:
        raise UserError(
            f"{data} holds no gtFine/<split>/<city>/*_gtFine_labelIds.png nor the same of gtCoarse "
            "beside leftImg8bit: unpack Cityscapes there."
        )
    return PublicSet(
        cityscapes_classes(),
        cityscapes_ids(),
        tuple(picture for part in parts.values() for picture in part),
        {part: labelled(pictures) for part, pictures in parts.items()} | windows,
    )


def _snippets(folder: Path, pictures: tuple[Picture, ...]) -> tuple[Picture, ...]:
    """The frames around each labelled picture, in a sequence of its own.

    Args:
      folder: of the split in ``leftImg8bit_sequence``.
      pictures: the labelled ones.

    Raises:
      UserError: frames are missing: which is the first, and how many of how many snippets.
    """
    found: list[Picture] = []
    missing: list[Path] = []
    torn: set[str] = set()
    for key in pictures:
        city = folder / key.name.split("_")[0]
        quality_split = key.sequence.removesuffix(f"_{city.name}")
        for name in _names_around(key.name, BEFORE, AFTER):
            path = city / f"{name}_leftImg8bit.png"
            if name == key.name:
                found.append(Picture(f"{quality_split}_{key.name}", name, key.frame, key.label))
            elif path.is_file():
                found.append(Picture(f"{quality_split}_{key.name}", name, path))
            else:
                missing.append(path)
                torn.add(key.name)
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} frames of {len(torn)} of {len(pictures)} snippets, the "
            f"first is {missing[0]}: unpack leftImg8bit_sequence again, or move {folder} away to "
            "convert the labelled frames alone."
        )
    return tuple(found)


def _names_around(name: str, before: int, after: int) -> list[str]:
    """``aachen_000000_000019``, with every number of a frame from so many before to after."""
    drive, _, number = name.rpartition("_")
    middle = int(number)
    return [f"{drive}_{i:06d}" for i in range(middle - before, middle + after + 1)]


def _window(key: tuple[str, str]) -> tuple[str, str, str, str]:
    around = _names_around(key[1], WINDOW, WINDOW)
    return (*key, around[0], around[-1])


def _pictures(data: Path, quality: str, split: str) -> Iterator[Picture]:
    """The labelled pictures of a split, sorted."""
    kind = QUALITIES[quality]
    ending = f"_{kind}_labelIds.png"
    frames = {
        label: data / "leftImg8bit" / split / label.parent.name
        / f"{label.name.removesuffix(ending)}_leftImg8bit.png"
        for label in sorted((data / kind / split).glob(f"*/*{ending}"))
    }  # fmt: skip
    check_frames(frames, f"leftImg8bit's {split}")
    for label, frame in frames.items():
        name = label.name.removesuffix(ending)
        yield Picture(f"{quality}_{split}_{label.parent.name}", name, frame, label)
