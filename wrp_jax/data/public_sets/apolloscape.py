"""ApolloScape's scene parsing: video in which every frame is labelled, 22 classes and void.

``<road>/ColorImage/<record>/<camera>/<name>.jpg`` and ``<road>/Label/<record>/<camera>/
<name>_bin.png``, where a road is what one archive holds (``road01_ins``, ``road02_seg``), beside
the image lists of the authors (``road01_ins_train.lst`` and so on), in the same place or in a
folder there. A sequence is what one camera saw in one record. Groups count as what they are groups
of, as in the evaluation of the authors; ids that it ignores are void.

Lists: ``train`` and ``val`` as the authors give them, or ``all`` where there are none of theirs.
Each is also cut into partitions of 21 labelled frames that follow one another:
``<list>_windows``, and their middle frames, ``<list>_middle``. (The paper counts 2005 middle frames
and 38095 others among 40960, which makes 20 to a partition. Its text says 21, as is done here; of
these 40960 frames hold 1950 at most.)

Reference: Huang et al., arXiv 1803.06184; ids, names and trainIds from the table of the class
definitions in ApolloScapeAuto/dataset-api, scene parsing. Partitions: Ganeshan et al., ICCV 2021,
section 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from wrp_jax.data import images
from wrp_jax.data.frame_names import natural_key
from wrp_jax.data.public_sets.public_set import (
    Picture,
    PublicSet,
    check_frames,
    labelled,
    partitions,
)
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import ClassMap, UserError

PARTITION = 21
"""Frames of a window: the middle one is labelled, ten on both sides get its label."""

_CLASSES = (
    (17, "sky", (70, 130, 180)), (33, "car", (0, 0, 142)), (34, "motorbicycle", (0, 0, 230)),
    (35, "bicycle", (119, 11, 32)), (36, "person", (0, 128, 192)), (37, "rider", (128, 64, 128)),
    (38, "truck", (128, 0, 192)), (39, "bus", (192, 0, 64)), (40, "tricycle", (128, 128, 192)),
    (49, "road", (192, 128, 192)), (50, "sidewalk", (192, 128, 64)),
    (65, "traffic cone", (255, 128, 64)), (66, "road pile", (0, 0, 192)),
    (67, "fence", (64, 64, 128)), (81, "traffic light", (192, 64, 128)),
    (82, "pole", (192, 128, 128)), (83, "traffic sign", (0, 64, 64)), (84, "wall", (192, 192, 128)),
    (85, "dustbin", (64, 0, 192)), (86, "billboard", (192, 0, 192)),
    (97, "building", (192, 0, 128)), (113, "vegetation", (128, 128, 64)), (255, "void", (0, 0, 0)),
)  # fmt: skip

_GROUPS = {single + 128: single for single in range(33, 41)}
"""Car groups have id 161, cars 33, and so on to tricycles."""

_IGNORED = (0, 1, 98, 99, 100)
"""Others, rover, bridge, tunnel, overpass: trainId 255, as has what is unlabelled, id 255."""

_LISTS = re.compile(r"(\w+)_(train|val|test)")


def apolloscape_classes() -> ClassMap:
    """The 22 classes in the order of their trainIds, with the ids of the files, and void."""
    ids, names, colors = zip(*_CLASSES, strict=True)
    return ClassMap(ids, names, np.array(colors, np.uint8), tuple(i == 255 for i in ids))


def read_apolloscape(data: Path) -> PublicSet:
    """Finds the frames of ApolloScape, their labels and the lists of the authors.

    Args:
      data: holds roads, and image lists.

    Raises:
      UserError: no label, one without its frame, or a list that names a frame of a road that is
        there, but which is not there itself or has no label.
    """
    roads = sorted({p.parents[2] for p in data.glob("*/Label/*/*")})
    pictures = {(p.sequence, p.name): p for road in roads for p in _pictures(road)}
    if not labelled(pictures.values()):
        raise UserError(
            f"{data} holds no road01_ins/Label/<record>/<camera>/*_bin.png nor the same of other "
            "roads: unpack ApolloScape's scene parsing there."
        )
    lists: dict[str, list[tuple[str, str]]] = {"train": [], "val": []}
    found = sorted({p.name: p for p in (*data.glob("*/*.lst"), *data.glob("*.lst"))}.items())
    for _, path in found:
        named = _LISTS.fullmatch(path.stem)
        if named is None or named[1] not in {road.name for road in roads}:
            continue
        rows = _read_list(path, named[1], pictures)
        if named[2] != "test":
            lists[named[2]] += rows
        for key in rows if named[2] == "test" else ():
            # The labels of these frames hold nothing but 255.
            pictures[key] = Picture(*key, pictures[key].frame)
    bare = [k for rows in lists.values() for k in rows if pictures[k].label is None]
    if bare:
        raise UserError(
            f"frame {' '.join(bare[0])} is in a list and has no label{_in_all(bare)}: unpack Label."
        )
    if not any(lists.values()):
        lists = {"all": list(labelled(pictures.values()))}
    order = _order(list(pictures))
    windows = {name: _windows(rows, order) for name, rows in lists.items()}
    return PublicSet(
        apolloscape_classes(),
        {i: i for i in apolloscape_classes().ids} | _GROUPS | dict.fromkeys(_IGNORED, 255),
        tuple(pictures.values()),
        {name: tuple(rows) for name, rows in lists.items() if rows}
        | {f"{name}_middle": tuple(w[:2] for w in cut) for name, cut in windows.items() if cut}
        | {f"{name}_windows": cut for name, cut in windows.items() if cut},
    )


def _pictures(road: Path) -> Iterator[Picture]:
    """Every frame of a road, with its label if there is one."""
    kinds = (road / "ColorImage", road / "Label")
    for place in sorted({p.relative_to(kind) for kind in kinds for p in kind.glob("*/*")}):
        color, label = (kind / place for kind in kinds)
        labels = {p.name.removesuffix("_bin.png"): p for p in label.glob("*_bin.png")}
        frames = {p.stem: p for p in color.glob("*") if p.suffix.lower() in images.SUFFIXES}
        check_frames(
            {path: frames.get(name, color / f"{name}.jpg") for name, path in labels.items()},
            f"{road.name}'s ColorImage",
        )
        for name in sorted(frames, key=natural_key):
            sequence = _sequence(road.name, *place.parts)
            yield Picture(sequence, name, frames[name], labels.get(name))


def _sequence(road: str, record: str, camera: str) -> str:
    return f"{road}_{record}_{camera}".replace(" ", "_")


def _read_list(
    path: Path, road: str, pictures: dict[tuple[str, str], Picture]
) -> list[tuple[str, str]]:
    """Frames named in the first column: ``<road>/ColorImage/<record>/<camera>/<name>.jpg``."""
    rows, missing = [], []
    text = read_bytes(path).decode(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        frame = PurePosixPath(line.split("\t")[0].strip())
        key = (_sequence(road, *frame.parts[-3:-1]) if len(frame.parts) >= 3 else "", frame.stem)
        if key in pictures:
            rows.append(key)
        else:
            missing.append(f"{path}:{number}: there is no {frame}")
    if missing:
        raise UserError(f"{missing[0]}{_in_all(missing)}: unpack {road} again.")
    return rows


def _in_all(wrong: Sequence[Any]) -> str:
    return f" ({len(wrong)} in all)" if len(wrong) > 1 else ""


def _order(keys: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Numbers that follow one another where frames do, with a gap between sequences."""
    number, last, order = 0, None, {}
    for key in keys:
        number += 1 if key[0] == last else 2
        last = key[0]
        order[key] = number
    return order


def _windows(
    rows: Sequence[tuple[str, str]], order: dict[tuple[str, str], int]
) -> tuple[tuple[str, str, str, str], ...]:
    """The partitions of what is listed, with their middle frames."""
    return tuple(
        (*part[PARTITION // 2], part[0][1], part[-1][1])
        for part in partitions(rows, order, PARTITION)
    )
