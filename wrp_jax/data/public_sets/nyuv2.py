"""NYU-Depth V2: 1449 labelled pictures of rooms, 40 classes and void, and the video around them.

``nyu_depth_v2_labeled.mat`` (the set), ``splits.mat`` (which pictures are for training, which for
testing) and ``classMapping40.mat`` (Gupta et al.: from the 894 names of the set to 40 classes) in
one place. Mapping and class names are read from that file. Pictures are named after their number
in the set, from ``0001``; the sequences ``train`` and ``test`` (795 and 654 pictures) are for
``--stills``: neighbours are no video.

Where scenes of the raw video lie there too, each labelled picture of ``train`` becomes a sequence
of its own, ``train_0002``, with up to 21 frames at two a second (see ``nyuv2_video``), and
``train_windows`` lists these.

The set is a file of MATLAB 7.3, which is HDF5: ``pip install -e ".[nyu]"``.

Reference: Silberman et al., ECCV 2012; Gupta, Arbelaez and Malik, CVPR 2013.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from wrp_jax.data import label_maps
from wrp_jax.data.public_sets.nyuv2_video import with_video
from wrp_jax.data.public_sets.public_set import Picture, Pixels, PublicSet, labelled
from wrp_jax.files.regular import open_regular
from wrp_jax.types import ClassMap, UserError

SET, SPLITS, MAPPING = "nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"


def read_nyuv2(data: Path) -> PublicSet:
    """Finds the labelled pictures of NYU-Depth V2, their split and their classes.

    Args:
      data: holds the three files, and scenes of the raw video.

    Raises:
      UserError: a file is missing, or is not what it should be; h5py is not installed; a scene
        lacks frames.
    """
    missing = [name for name in (SET, SPLITS, MAPPING) if not (data / name).is_file()]
    if missing:
        raise UserError(f"{data} holds no {' nor '.join(missing)}: put NYU-Depth V2 there.")
    height, width, raw = _read(data / SET, _facts)
    classes, ids = _read_mapping(data / MAPPING)
    train, test = (
        [
            _picture(data / SET, split, number)
            for number in _numbers(data / SPLITS, f"{split}Ndxs", len(raw))
        ]
        for split in ("train", "test")
    )
    train, windows = with_video(data, train, raw, height * width * 3)
    lists: dict[str, tuple[tuple[str, ...], ...]]
    lists = {"train": labelled(train), "test": labelled(test)}
    if windows:
        lists["train_windows"] = windows
    return PublicSet(classes, ids, (*train, *test), lists)


def _picture(path: Path, split: str, number: int) -> Picture:
    where = f"{path}: picture {number}"
    # MATLAB's arrays lie transposed in the file: [picture, channel, column, row].
    frame = functools.partial(_read, path, lambda file: file["images"][number - 1].T)
    label = functools.partial(_read, path, lambda file: file["labels"][number - 1].T)
    return Picture(split, _name(number), Pixels(where, path, frame), Pixels(where, path, label))


def _facts(file: Any) -> tuple[int, int, dict[str, str]]:
    """Height and width of the pictures, and by their names the files of the raw video."""
    images, labels = file["images"], file["labels"]
    same = images.shape == (len(images), 3, *labels.shape[1:]) and len(images) == len(labels)
    if not same or images.dtype != np.uint8:
        raise ValueError(f"images of {images.shape}, labels of {labels.shape}")
    # A cell array of texts: references to arrays of the codes of their letters.
    raw = ["".join(map(chr, np.ravel(file[cell]))) for cell in file["rawRgbFilenames"][0]]
    if len(raw) != len(images):
        raise ValueError(f"{len(images)} images, {len(raw)} rawRgbFilenames")
    names = {_name(number): path for number, path in enumerate(raw, 1)}
    return images.shape[3], images.shape[2], names


def _name(number: int) -> str:
    return f"{number:04d}"


def _read(path: Path, take: Callable[[Any], Any]) -> Any:
    """What ``take`` gives for the open file of the set."""
    try:
        import h5py  # an extra: no other data set needs it
    except ImportError as error:
        raise UserError('NYU-Depth V2 needs h5py: pip install -e ".[nyu]".') from error
    try:
        with open_regular(path) as stream, h5py.File(stream, "r") as file:
            return take(file)
    except Exception as error:  # the library raises whatever it meets in untrusted bytes
        raise UserError(f"{path} cannot be read ({_line(error)}): copy it again.") from error


def _read_matlab(path: Path, *names: str) -> list[np.ndarray]:
    """Variables of a file of MATLAB before 7.3, without the axes of length 1."""
    try:
        with open_regular(path) as stream:
            content = scipy.io.loadmat(stream, squeeze_me=True, variable_names=names)
        return [np.atleast_1d(content[name]) for name in names]
    except Exception as error:  # see _read
        raise UserError(f"{path} cannot be read ({_line(error)}): copy it again.") from error


def _numbers(path: Path, name: str, count: int) -> list[int]:
    """Numbers of the pictures of a split, from 1."""
    (numbers,) = _read_matlab(path, name)
    if not np.isin(numbers, range(1, count + 1)).all():
        raise UserError(f"{path}: {name} must be numbers from 1 to {count}: copy it again.")
    return sorted({int(number) for number in numbers})


def _read_mapping(path: Path) -> tuple[ClassMap, dict[int, int]]:
    """The classes, and from the numbers of the set's own names to theirs."""
    names, mapping = _read_matlab(path, "className", "mapClass")
    if not np.isin(mapping, range(1, len(names) + 1)).all():
        raise UserError(f"{path}: mapClass must be numbers from 1 to {len(names)}: copy it again.")
    entries = [{"id": i, "name": name} for i, name in enumerate(names.tolist(), 1)]
    void = {"id": 0, "name": "void", "color": [0, 0, 0], "void": True}
    classes = label_maps.parse_classes({"classes": [*entries, void]}, str(path))
    return classes, {0: 0} | {i: int(to) for i, to in enumerate(mapping, 1)}


def _line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
