"""Cityscapes, fine and coarse labels, as a folder (see ``folder``) of 19 classes and void.

    python -m wrp_jax.data.cityscapes --data=CITYSCAPES --output=D

CITYSCAPES is the set as it is unpacked, all its parts into one place:
``leftImg8bit/<split>/<city>/<name>_leftImg8bit.png`` beside
``gtFine/<split>/<city>/<name>_gtFine_labelIds.png`` and
``gtCoarse/<split>/<city>/<name>_gtCoarse_labelIds.png``. Frames are linked, labels written with the
ids of the classes that are scored and 0 for all else. ``D/splits/fine_train.txt``,
``coarse_train_extra.txt`` and so on list the frames, for ``--stills=D:splits/fine_train.txt``.
Stopped at any time, the same command goes on.

Reference: Cordts et al., CVPR 2016; ids, names and colours as in mcordts/cityscapesScripts,
``helpers/labels.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from wrp_jax.data import images, label_maps
from wrp_jax.data.prepare import exit_code
from wrp_jax.data.writers import check_output, write_atomically
from wrp_jax.types import ClassMap, UserError

QUALITIES = {"fine": "gtFine", "coarse": "gtCoarse"}
"""Folder of the labels and part of their file names, by what the names of sequences begin with."""

_SPLITS = ("train", "val", "train_extra")
"""The labels of ``test`` are kept by the authors: the files there say nothing."""

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


def cityscapes_classes() -> ClassMap:
    """The 19 classes in the order of their trainIds, with the ids of the files, and void."""
    ids, names, colors = zip(*_CLASSES, strict=True)
    return ClassMap(ids, names, np.array(colors, np.uint8), tuple(i == 0 for i in ids))


def scored_ids(label: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """``labelIds`` with 0 for every id that is not scored (255, the license plate, among them)."""
    keep = np.zeros(256, np.uint8)
    keep[list(cityscapes_classes().ids)] = cityscapes_classes().ids
    return keep[label]


def prepare_cityscapes(data: Path, output: Path) -> str:
    """Writes the folder.

    Args:
      data: holds ``leftImg8bit`` and ``gtFine``, ``gtCoarse`` or both.
      output: the folder to write, with sequences such as ``coarse_train_extra_augsburg``.

    Returns:
      What to give as ``--stills``, one line for each list.

    Raises:
      UserError: there is no label, or one whose frame is missing, broken or of another size.
    """
    check_output(output, data)
    pairs = {
        f"{quality}_{split}": found
        for quality in QUALITIES
        for split in _SPLITS
        if (found := list(_pairs(data, quality, split)))
    }
    if not pairs:
        raise UserError(
            f"{data} holds no gtFine/<split>/<city>/*_gtFine_labelIds.png nor the same of gtCoarse "
            "beside leftImg8bit: unpack Cityscapes there."
        )
    classes = cityscapes_classes()
    content = json.dumps(label_maps.classes_to_json(classes), indent=1) + "\n"
    write_atomically(output / label_maps.CLASSES_FILE, content.encode())
    for part, found in pairs.items():
        lines = []
        for city, name, frame, label in found:
            folder = output / f"{part}_{city}"
            _link(folder / "frames" / f"{name}.png", frame)
            _write_label(folder / "labels" / f"{name}.png", label, frame, classes)
            lines.append(f"{folder.name} {name}\n")
        write_atomically(output / "splits" / f"{part}.txt", "".join(lines).encode())
    return "\n".join(f"--stills={output}:splits/{part}.txt" for part in pairs)


def _pairs(data: Path, quality: str, split: str) -> Iterator[tuple[str, str, Path, Path]]:
    """City, name, frame and label of each label of a split, sorted."""
    kind = QUALITIES[quality]
    ending = f"_{kind}_labelIds.png"
    frames = data / "leftImg8bit" / split
    for label in sorted((data / kind / split).glob(f"*/*{ending}")):
        city, name = label.parent.name, label.name.removesuffix(ending)
        frame = frames / city / f"{name}_leftImg8bit.png"
        if not frame.is_file():
            raise UserError(f"{label} has no frame {frame}: unpack leftImg8bit's {split} as well.")
        yield city, name, frame, label


def _link(link: Path, target: Path) -> None:
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target.resolve())
    except OSError as error:
        raise UserError(f"{link} cannot be made: {error.strerror}.") from error


def _write_label(path: Path, label: Path, frame: Path, classes: ClassMap) -> None:
    if path.is_file():  # by a run that was stopped: files appear when they are complete
        return
    ids = images.decode_label(images.read_bytes(label), label)
    height, width = images.frame_size(frame, frame)
    if ids.dtype != np.uint8 or ids.shape != (height, width):
        raise UserError(
            f"{label} is no 8-bit picture of {width}x{height}, the size of its frame: unpack both "
            "again."
        )
    write_atomically(path, images.encode_png(scored_ids(ids), label_maps.palette(classes)))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit code 2 and one sentence for mistakes of the user."""
    parser = argparse.ArgumentParser(prog="python -m wrp_jax.data.cityscapes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Cityscapes, unpacked")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    flags = parser.parse_args(argv)
    return exit_code(lambda: prepare_cityscapes(flags.data, flags.output))


if __name__ == "__main__":
    sys.exit(main())
