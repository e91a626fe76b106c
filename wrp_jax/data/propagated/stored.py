"""What the two forms of propagated labels have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.data import images, label_maps, label_pictures
from wrp_jax.data.source import FrameNames, VideoSource
from wrp_jax.types import UNLABELLED, ClassMap, UserError


class LabelsOnDisk:
    """What both forms have in common: a ``VideoSource`` whose labels were propagated.

    Attributes:
      name: of the output.
      classes: of the labels.
      places: by (sequence, frame) the labelled frame it lies around, and its offset.
      moved: whether ``frame`` gives pictures that were moved along with the labels.
    """

    moved = False

    def __init__(
        self,
        name: str,
        source: VideoSource,
        classes: ClassMap,
        places: Mapping[tuple[str, str], tuple[str, int]],
        confidence: float,
    ):
        if not label_maps.same_classes(classes, source.classes):
            raise UserError(
                f"{name} has labels of {_classes_text(classes)}, {source.name} of "
                f"{_classes_text(source.classes)}: give what propagate wrote for this --data."
            )
        self.name, self.classes, self.places = name, classes, dict(places)
        self._least = confidence * 255.0
        self._names: dict[str, list[str]] = {}
        for sequence, frame in self.places:
            self._names.setdefault(sequence, []).append(frame)

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """(sequence, frame) of the labelled frames."""
        return frozenset((sequence, key) for (sequence, _), (key, _) in self.places.items())

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of the sequences."""
        return tuple(self._names)

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """Names of the frames that have a label."""
        return FrameNames(self._names[sequence])

    def label_names(self, sequence: str) -> frozenset[str]:
        """Names of the frames that have a label: all of them."""
        return frozenset(self._names[sequence])

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """Class indices; ``UNLABELLED`` where nothing is known, or not surely enough.

        Raises:
          UserError: a picture is missing, broken, or has another size than the frame.
        """
        label, where = self._label(sequence, name)
        size = self.frame_size(sequence, name)
        if label.shape != size:
            raise UserError(
                f"{where} is {label.shape[1]}x{label.shape[0]} but its frame is "
                f"{size[1]}x{size[0]}: propagate this --data again."
            )
        if self._least > 0:
            sure, where = self._confidence(sequence, name)
            if sure.shape != size:
                raise UserError(f"{where} has another size than its label: propagate again.")
            label = np.where(sure < self._least, UNLABELLED, label)
        return label.astype(np.int32)

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """The picture, RGB 0 … 255."""
        raise NotImplementedError

    def frame_size(self, sequence: str, name: str) -> tuple[int, int]:
        """Height and width of the picture."""
        raise NotImplementedError

    def _label(self, sequence: str, name: str) -> tuple[np.ndarray, Path | str]:
        """Class indices, and where they lie for messages."""
        raise NotImplementedError

    def _confidence(self, sequence: str, name: str) -> tuple[np.ndarray, Path | str]:
        """0 … 255, and where they lie."""
        raise NotImplementedError


def read_propagated(data: bytes, classes: ClassMap, where: Path | str) -> Int32[np.ndarray, "h w"]:
    """Class indices of a label that this program wrote; ``UNLABELLED`` where it says nothing.

    Raises:
      UserError: it is no such label.
    """
    pixels = label_pictures.ids_of(images.decode_label(data, where), classes, where)
    if UNLABELLED in classes.ids:
        return label_maps.ids_to_indices(pixels, classes, where)
    nothing = pixels == UNLABELLED
    known = np.where(nothing, np.uint8(classes.ids[0]), pixels)
    return np.where(nothing, UNLABELLED, label_maps.ids_to_indices(known, classes, where))


def _classes_text(classes: ClassMap) -> str:
    shown = ", ".join(classes.names[:4]) + (", …" if classes.num_classes > 4 else "")
    return f"{classes.num_classes} classes ({shown})"
