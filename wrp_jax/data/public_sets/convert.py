"""Writes a public data set, as its authors lay it out, as a folder (see ``folder``).

What has to lie in the unpacked set is told by the module of its reader. Frames are linked (written
where they are no files of their own), labels written with the ids of ``classes.json``; void is what
the set does not score, and a label of void alone counts as none. ``splits/*.txt`` list the frames.
Stopped at any time, a second run goes on: it keeps what is there as it was written, of files that
are as they were, and removes what the set does not have any more.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tqdm
from jaxtyping import UInt8

from wrp_jax import interrupts
from wrp_jax.data import images, label_maps, label_pictures
from wrp_jax.data.public_sets.apolloscape import read_apolloscape
from wrp_jax.data.public_sets.camvid import read_camvid
from wrp_jax.data.public_sets.cityscapes import read_cityscapes
from wrp_jax.data.public_sets.kitti import read_kitti
from wrp_jax.data.public_sets.mapillary import read_mapillary
from wrp_jax.data.public_sets.nyuv2 import read_nyuv2
from wrp_jax.data.public_sets.public_set import Packed, Picture, Pixels, PublicSet
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import check_output, claim_output
from wrp_jax.files.records import Records, fingerprint
from wrp_jax.files.regular import read_bytes
from wrp_jax.files.verify import check_free
from wrp_jax.machine import cannot_write
from wrp_jax.types import UserError

PUBLIC_SETS: dict[str, Callable[[Path], PublicSet]] = {
    "apolloscape": read_apolloscape,
    "camvid": read_camvid,
    "camvid_32": functools.partial(read_camvid, count=32),
    "cityscapes": read_cityscapes,
    "kitti": read_kitti,
    "mapillary_v1.2": functools.partial(read_mapillary, version="v1.2"),
    "mapillary_v2.0": functools.partial(read_mapillary, version="v2.0"),
    "nyuv2": read_nyuv2,
}
"""The readers, by what is given as ``--set``."""

RESULT_VERSION = 1
"""Raised when the program writes other labels of the same set: files are made again."""


def convert_set(name: str, data: Path, output: Path) -> str:
    """Writes the folder.

    Args:
      name: of the set, one of ``PUBLIC_SETS``.
      data: the set, unpacked.
      output: the folder to write.

    Returns:
      What to give as ``--stills`` and ``--windows``, one line for each list.

    Raises:
      UserError: what the reader of the set finds missing, before anything is written; a label
        that is broken, of another size than its frame, or holds ids that the set does not have; an
        output inside of the set, or with another set in it.
    """
    check_output(output, data)
    found = PUBLIC_SETS[name](data)
    own = (label_maps.CLASSES_FILE, "splits")
    check_free(output, (*(picture.sequence for picture in found.pictures), *own))
    with sole_writer(output, "--output"):
        return "\n".join(write_set(name, found, output, {"set": name}).lines)


class Written(NamedTuple):
    """What ``write_set`` has done.

    Attributes:
      lines: what to give as ``--stills`` and ``--windows``, one for each list.
      frames, labels: how many there are.
      made: how many of these files were not there as they are.
    """

    lines: tuple[str, ...]
    frames: int
    labels: int
    made: int


def write_set(title: str, found: PublicSet, output: Path, run: Mapping[str, Any]) -> Written:
    """Writes a set as a folder; the caller holds the folder's lock.

    Args:
      title: beside the progress bar.
      found: the set.
      output: the folder.
      run: what tells it from others, see ``claim_output``.

    Raises:
      UserError: as ``convert_set``.
    """
    claim_output(output, run)
    records = Records(output)
    files = []
    if found.classes.num_classes:
        files = [output / label_maps.CLASSES_FILE]
        content = json.dumps(label_maps.classes_to_json(found.classes), indent=1) + "\n"
        records.write("", files[0], content.encode())
    known, made = set(), 0
    for picture in tqdm.tqdm(found.pictures, desc=title, unit="picture", disable=None):
        interrupts.check()
        frame, is_new = _put_frame(records, picture)
        files.append(frame)
        made += is_new
        label, is_new = _put_label(records, picture, found)
        made += is_new
        if label is not None:
            known.add((picture.sequence, picture.name))
            files.append(label)
    records.tell()
    lines = []
    for name, rows in found.lists.items():
        rows = [row for row in rows if row[:2] in known]
        if rows:
            file = f"splits/{name}.txt"
            write_atomically(output / file, "".join("\t".join(r) + "\n" for r in rows).encode())
            records.add("", [output / file])
            files.append(output / file)
            stills = len(rows[0]) == 2
            lines.append(f"--stills={output}:{file}" if stills else f"--windows={output}/{file}")
    records.keep_only(files)
    records.save()
    return Written(
        tuple(lines), len({(p.sequence, p.name) for p in found.pictures}), len(known), made
    )


def _put_frame(records: Records, picture: Picture) -> tuple[Path, bool]:
    """Links a frame, or writes it where it is no file; returns where, and whether it was new."""
    folder = records.output / picture.sequence / "frames"
    frame = picture.frame
    if not isinstance(frame, Path):
        suffix = frame.suffix if isinstance(frame, Packed) else ".png"
        path = folder / f"{picture.name}{suffix}"
        mark = fingerprint(RESULT_VERSION, picture.name, records.digests.of(frame.file))
        if records.is_current(path, mark):
            return path, False
        packed = isinstance(frame, Packed)
        data = frame.read() if packed else images.encode_png(frame.read())
        records.write(mark, path, data)
        return path, True
    link = folder / f"{picture.name}{frame.suffix.lower()}"
    target = str(frame.resolve())
    is_new = False
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() and os.readlink(link) != target:
            link.unlink()  # the set has moved since
        if not link.is_symlink():
            link.symlink_to(target)
            is_new = True
    except OSError as error:
        raise cannot_write(link, error) from error
    records.add("", [link])
    return link, is_new


def _put_label(records: Records, picture: Picture, found: PublicSet) -> tuple[Path | None, bool]:
    """Writes a label if it is not there; returns where, None if the frame has none, and whether
    it was new.
    """
    path = records.output / picture.sequence / "labels" / f"{picture.name}.png"
    if picture.label is None:
        return None, False
    if isinstance(picture.label, Pixels):
        origins = (picture.label.file, *picture.label.described_in)
    else:
        origins = (picture.label,)
    mark = fingerprint(
        RESULT_VERSION,
        picture.name,
        *map(records.digests.of, origins),
        label_maps.classes_to_json(found.classes),
        sorted(found.ids.items()),
        None if isinstance(picture.frame, Pixels) else picture_size(picture.frame),
    )
    if records.is_current(path, mark):
        return path, False
    if isinstance(picture.label, Pixels):
        where, raw = picture.label.where, picture.label.read()
    else:
        where = str(picture.label)
        decoded = images.decode_label(read_bytes(picture.label), picture.label)
        class_of = {id_: found.classes.ids.index(ours) for id_, ours in found.ids.items()}
        raw = label_pictures.ids_of(decoded, found.classes, where, class_of)
    height, width = picture_size(picture.frame)
    if not np.issubdtype(raw.dtype, np.integer) or raw.ndim != 2:
        raise UserError(f"{where} is no map of ids: save labels as PNG of ids, or export again.")
    if raw.shape != (height, width):
        turned = " (turned as its file says)" if raw.shape == (width, height) else ""
        raise UserError(
            f"{where} is {raw.shape[1]}x{raw.shape[0]} but its frame is {width}x{height}{turned}: "
            "labels must have the size of their frame; unpack or export both again."
        )
    ids = _ids_to_write(raw, found, where)
    void = [i for i, is_void in zip(found.classes.ids, found.classes.void, strict=True) if is_void]
    if np.isin(ids, void).all() and not found.keep_void:
        return None, False
    records.write(mark, path, images.encode_png(ids, label_maps.palette(found.classes)))
    return path, True


def picture_size(frame: Path | Pixels | Packed) -> tuple[int, int]:
    """Height and width of a frame; of pixels that do not say theirs they are read for it."""
    if isinstance(frame, Pixels):
        height, width = frame.size or frame.read().shape[:2]
        return height, width
    if isinstance(frame, Packed):
        return images.frame_size(frame.read(), frame.where)
    return images.frame_size(frame, frame)


def _ids_to_write(raw: np.ndarray, found: PublicSet, where: str) -> UInt8[np.ndarray, "h w"]:
    """The ids of a label of the set as they are written; refuses any that the set has not."""
    table = np.full(max(found.ids) + 2, -1, np.int16)
    table[list(found.ids)] = list(found.ids.values())
    outside = len(table) - 1  # its last entry: no id of the set
    ids = table[np.where((raw < 0) | (raw > outside), outside, raw)]
    if ids.min() < 0:
        y, x = (int(v) for v in np.argwhere(ids < 0)[0])
        raise UserError(
            f"{where} has {int((ids < 0).sum())} pixels with ids that are none of this set, the "
            f"first {int(raw[y, x])} at row {y}, column {x}: unpack it again, or choose another "
            "--set."
        )
    return ids.astype(np.uint8)
