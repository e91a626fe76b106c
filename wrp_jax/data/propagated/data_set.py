"""The TFDS data set of ``export``, read back as frames with propagated labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from wrp_jax import interrupts
from wrp_jax.data import images, label_maps
from wrp_jax.data.propagated.stored import LabelsOnDisk, read_propagated
from wrp_jax.data.source import VideoSource
from wrp_jax.data.tfds.export import SPLIT
from wrp_jax.types import UserError

_PICTURES = ("image", "label", "confidence")
_COLUMNS = frozenset({*_PICTURES, "sequence", "frame", "key", "offset"})


class PropagatedTfds(LabelsOnDisk):
    """Frames, labels and confidences of the data set, by their columns."""

    def __init__(self, directory: Path, source: VideoSource, confidence: float):
        """Reads the columns of every element once.

        Args:
          directory: of the data set.
          source: the video that was labelled; its classes must be the same.
          confidence: 0 … 1; pixels below it are left out of the labels.

        Raises:
          UserError: the data set is another one, or damaged.
        """
        places: dict[tuple[str, str], tuple[str, int]] = {}
        self._positions: dict[tuple[str, str], int] = {}
        try:
            builder: Any = tfds.builder_from_directory(directory)
            missing = _COLUMNS - set(builder.info.features or {})
            if missing:
                raise UserError(
                    f"{directory} has no column {min(missing)}: give what propagate wrote."
                )
            metadata = builder.info.metadata or {}
            classes = label_maps.parse_classes(
                metadata.get("classes"), f"{directory}/metadata.json"
            )
            keep = {name: tfds.decode.SkipDecoding() for name in _PICTURES}
            self._data = builder.as_data_source(split=SPLIT, decoders=keep)
            for position in range(len(self._data)):
                interrupts.check()
                element = self._data[position]
                place = _text(element["sequence"]), _text(element["frame"])
                places[place] = _text(element["key"]), int(element["offset"])
                self._positions[place] = position
        except UserError:
            raise
        except Exception as error:  # missing shards, broken JSON: TFDS raises whatever it meets
            reason = (str(error) or repr(error)).splitlines()[0]
            raise UserError(f"{directory} cannot be read ({reason}): propagate again.") from error
        super().__init__(str(directory), source, classes, places, confidence)

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """The video's frame."""
        return images.decode_frame(*self._picture("image", sequence, name))

    def frame_size(self, sequence: str, name: str) -> tuple[int, int]:
        """Height and width of the frame, from its header."""
        return images.frame_size(*self._picture("image", sequence, name))

    def _label(self, sequence: str, name: str) -> tuple[np.ndarray, Path | str]:
        data, where = self._picture("label", sequence, name)
        return read_propagated(data, self.classes, where), where

    def _confidence(self, sequence: str, name: str) -> tuple[np.ndarray, Path | str]:
        data, where = self._picture("confidence", sequence, name)
        return images.decode_label(data, where).pixels, where

    def _picture(self, kind: str, sequence: str, name: str) -> tuple[bytes, str]:
        where = f"{self.name}: {kind} of frame {sequence} {name}"
        try:
            return bytes(self._data[self._positions[sequence, name]][kind]), where
        except Exception as error:  # hash mismatches, cut files: array_record raises several types
            reason = (str(error) or repr(error)).splitlines()[0]
            raise UserError(f"{where} is damaged ({reason}): propagate again.") from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
