"""Pairs of a prepared flow set, as a source like any other: each pair is a sequence of two."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.data import images
from wrp_jax.data.flow_sets.pairs import FlowPair
from wrp_jax.data.label_maps import NO_CLASSES
from wrp_jax.types import ClassMap, UserError

_FRAMES = ("first", "second")


class FlowSetSource:
    """A ``VideoSource`` without labels, and ``FlowPairs``; ``tfds_source.open_tfds`` makes one."""

    def __init__(self, name: str, data: Any):
        """Holds an opened split.

        Args:
          name: the specification it was opened with.
          data: TFDS data source that leaves pictures and arrays as bytes.
        """
        self.name = name
        self.classes: ClassMap = NO_CLASSES
        self._data = data
        digits = len(str(max(len(data) - 1, 0)))
        self.sequences = tuple(f"{index:0{digits}d}" for index in range(len(data)))
        self._index = {sequence: index for index, sequence in enumerate(self.sequences)}

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._data)

    def pair(self, index: int, rng: np.random.Generator) -> FlowPair:
        """The pair at an index; UserError if its record is damaged."""
        del rng
        element = self._element(index)
        first, second = (self._picture(element, index, name) for name in _FRAMES)
        height, width, _ = first.shape
        flow = self._array(element, index, "flow", (height, width, 2), np.float32)
        valid = self._array(element, index, "valid", (height, width), np.bool_)
        return FlowPair(first, second, flow, valid)

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """``first`` and ``second``."""
        self._index[sequence]
        return _FRAMES

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """One of the two pictures, RGB 0 … 255."""
        index = self._index[sequence]
        return self._picture(self._element(index), index, name)

    def label_names(self, sequence: str) -> frozenset[str]:
        """None."""
        self._index[sequence]
        return frozenset()

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """There is none: KeyError."""
        raise KeyError(f"{self.name} has no labels")

    def _picture(self, element: dict[str, Any], index: int, name: str) -> np.ndarray:
        return images.decode_frame(bytes(element[name]), f"{self.name}, pair {index}, {name}")

    def _array(
        self,
        element: dict[str, Any],
        index: int,
        name: str,
        shape: tuple[int, ...],
        dtype: type[np.generic],
    ) -> np.ndarray:
        """An array of the pair, of the size of its pictures; nothing longer is unpacked."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        try:
            said = tuple(int(length) for length in element[name]["shape"])
            unpacking = zlib.decompressobj()
            data = unpacking.decompress(element[name]["value"], size + 1)
            # The checksum is compared at the end of the data.
            whole = unpacking.eof or not unpacking.decompress(unpacking.unconsumed_tail, 1)
        except Exception as error:  # of whatever lies there
            raise self._damaged(index, f"{name}: {_line(error)}") from error
        if said != shape or len(data) != size or not whole or not unpacking.eof:
            raise self._damaged(index, f"{name} is not of the size of its pictures")
        array = np.frombuffer(data, np.uint8 if dtype is np.bool_ else dtype).reshape(shape)
        return array != 0 if dtype is np.bool_ else array

    def _element(self, index: int) -> dict[str, Any]:
        try:
            return self._data[int(index)]
        except Exception as error:  # hash mismatches, cut files: array_record raises several types
            raise self._damaged(index, _line(error)) from error

    def _damaged(self, index: int, why: str) -> UserError:
        return UserError(f"{self.name}: record {index} is damaged ({why}): build it again.")


def _line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
