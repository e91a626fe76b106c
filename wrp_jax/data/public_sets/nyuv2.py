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
import io
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from wrp_jax.data import images, label_maps
from wrp_jax.data.public_sets.nyuv2_video import with_video
from wrp_jax.data.public_sets.public_set import Picture, Pixels, PublicSet, labelled
from wrp_jax.files.regular import open_regular, read_bytes
from wrp_jax.types import ClassMap, UserError

SET, SPLITS, MAPPING = "nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"

_MAX_MATLAB = 2**24
"""Bytes of the two small files, unpacked; the published ones have some thousands."""
_MAX_ENTRIES, _MAX_LETTERS = 2**16, 4096
_MATLAB_HEAD, _MATLAB_COMPRESSED = 128, 15


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
    """Height and width of the pictures, and by their names the files of the raw video.

    Sizes are checked before anything is read.
    """
    pictures, labels = _array(file, "images"), _array(file, "labels")
    shape = pictures.shape == (len(pictures), 3, *labels.shape[1:]) and labels.ndim == 3
    if not shape or len(pictures) != len(labels) or pictures.dtype != np.uint8:
        raise ValueError(f"images of {pictures.shape}, labels of {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels of the kind {labels.dtype}")
    if math.prod(labels.shape[1:]) > images.MAX_PIXELS:
        raise ValueError(f"pictures of {labels.shape[1]}x{labels.shape[2]}, which are too large")
    cells = _array(file, "rawRgbFilenames")
    if len(pictures) > _MAX_ENTRIES or cells.shape != (1, len(pictures)):
        raise ValueError(f"{len(pictures)} images, rawRgbFilenames of {cells.shape}")
    # A cell array of texts: references to arrays of the codes of their letters.
    raw = [_text(file[cell]) for cell in cells[0]]
    names = {_name(number): path for number, path in enumerate(raw, 1)}
    return pictures.shape[3], pictures.shape[2], names


def _text(letters: Any) -> str:
    if letters.size > _MAX_LETTERS:
        raise ValueError(f"a name of {letters.size} letters")
    return "".join(map(chr, np.ravel(letters)))


def _array(file: Any, name: str) -> Any:
    """An array of the open file, as long as it lies there and can be read in parts."""
    import h5py

    # Links, virtual and external arrays may lead to any file of the machine.
    own = isinstance(file.get(name, getlink=True), h5py.HardLink)
    found = file[name] if own else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{name!r} is no array in this file")
    part = math.prod(found.chunks or (1,)) * found.dtype.itemsize  # is unpacked as a whole
    if part > 8 * images.MAX_PIXELS:
        raise ValueError(f"{name!r} is packed in parts of {part} bytes")
    return found


def _name(number: int) -> str:
    return f"{number:04d}"


def _read(path: Path, take: Callable[[Any], Any]) -> Any:
    """What ``take`` gives for the open file of the set."""
    try:
        import h5py  # an extra: no other data set needs it
    except ImportError as error:
        raise UserError(
            'NYU-Depth V2 needs h5py: pip install -e ".[nyu]" in the folder of wrp_jax.'
        ) from error
    try:
        with open_regular(path) as stream, h5py.File(stream, "r") as file:
            return take(file)
    except Exception as error:  # the library raises whatever it meets in untrusted bytes
        raise UserError(f"{path} cannot be read ({_line(error)}): copy it again.") from error


def _read_matlab(path: Path, *names: str) -> list[np.ndarray]:
    """Variables of a file of MATLAB before 7.3, without the axes of length 1."""
    try:
        data = read_bytes(path, _MAX_MATLAB)
        _check_unpacked(data)
        for name, shape, _ in scipy.io.whosmat(io.BytesIO(data)):
            if name in names and math.prod(shape) > _MAX_ENTRIES:
                raise ValueError(f"{name!r} has {math.prod(shape)} entries")
        content = scipy.io.loadmat(io.BytesIO(data), squeeze_me=True, variable_names=names)
        return [np.atleast_1d(content[name]) for name in names]
    except UserError:
        raise
    except Exception as error:  # see _read
        raise UserError(f"{path} cannot be read ({_line(error)}): copy it again.") from error


def _check_unpacked(data: bytes) -> None:
    """Refuses a file of MATLAB 5 whose packed variables are much longer than they should be.

    Reference: MAT-File Format, version 5: elements of a type, a length and data.
    """
    position, left = _MATLAB_HEAD, _MAX_MATLAB
    order = ">" if data[126:128] == b"MI" else "<"
    while position + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, position)
        position += 8
        if kind == _MATLAB_COMPRESSED:
            part = data[position : position + length]
            left -= len(zlib.decompressobj().decompress(part, left + 1))
            if left < 0:
                raise ValueError(f"it has more than {_MAX_MATLAB} bytes when unpacked")
        position += length


def _numbers(path: Path, name: str, count: int) -> list[int]:
    """Numbers of the pictures of a split, from 1."""
    (numbers,) = _read_matlab(path, name)
    if not _are_numbers(numbers, count):
        raise UserError(f"{path}: {name} must be numbers from 1 to {count}: copy it again.")
    return sorted({int(number) for number in numbers})


def _are_numbers(values: np.ndarray, largest: int) -> bool:
    """Whether all are whole numbers from 1 to the largest."""
    plain = values.dtype.kind in "iuf"
    return plain and bool(((values >= 1) & (values <= largest) & (values % 1 == 0)).all())


def _read_mapping(path: Path) -> tuple[ClassMap, dict[int, int]]:
    """The classes, and from the numbers of the set's own names to theirs."""
    names, mapping = _read_matlab(path, "className", "mapClass")
    if not _are_numbers(mapping, len(names)):
        raise UserError(f"{path}: mapClass must be numbers from 1 to {len(names)}: copy it again.")
    entries = [{"id": i, "name": name} for i, name in enumerate(names.tolist(), 1)]
    void = {"id": 0, "name": "void", "color": [0, 0, 0], "void": True}
    classes = label_maps.parse_classes({"classes": [*entries, void]}, str(path))
    return classes, {0: 0} | {i: int(to) for i, to in enumerate(mapping, 1)}


def _line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
