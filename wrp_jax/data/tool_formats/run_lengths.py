"""Masks as lengths of runs, in the ways of COCO, CVAT and Label Studio.

- COCO counts down the columns, from a run of zeros that may be empty; compressed, each count is
  written as the difference to the count before the last one, in groups of five bits with a sixth
  that says whether more follow, as characters from ``0`` on (cocodataset/cocoapi,
  ``common/maskApi.c``: ``rleToString``).
- CVAT counts along the rows of the rectangle around a mask, from a run of zeros (documentation of
  the format "CVAT for images 1.1").
- Label Studio packs the four channels of RGBA, row by row, into bits: how many bytes they are, the
  bits of a word and of four lengths of runs, then runs, repeated or spelt out (thi-ng/umbrella,
  ``packages/rle-pack``). The mask is the alpha channel.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, UInt8

_WORD_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)
_CHANNELS = 4


def runs_to_mask(counts: Sequence[int], length: int) -> Bool[np.ndarray, " n"]:
    """A flat mask of runs that alternate, zeros first.

    Raises:
      ValueError: they are no runs of this length in all.
    """
    try:
        runs = np.asarray(counts, np.int64)
    except OverflowError as error:
        raise ValueError("its runs are longer than any picture") from error
    # Each by itself, since the sum of the longest numbers would begin anew.
    if runs.ndim != 1 or ((runs < 0) | (runs > length)).any() or runs.sum() != length:
        raise ValueError(f"its runs do not add up to {length} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def mask_to_runs(mask: Bool[np.ndarray, " n"]) -> list[int]:
    """The lengths of the runs of a flat mask, zeros first."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    runs = np.diff(edges, prepend=0, append=len(mask)).tolist()
    return [0, *runs] if len(mask) and mask[0] else runs


def coco_counts(text: str) -> list[int]:
    """The counts of a compressed run-length encoding of COCO.

    Raises:
      ValueError: it is none.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text.encode("latin-1"):
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its counts are no run-length encoding of COCO")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its counts are cut off")
    return counts


def coco_text(counts: Sequence[int]) -> str:
    """What ``coco_counts`` reads."""
    text = bytearray()
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text.append(bits + 32 * more + 48)
            if not more:
                break
    return text.decode("ascii")


def read_brush(data: Iterable[int], height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    """The alpha channel that Label Studio has packed.

    Args:
      data: bytes 0 … 255.
      height: of the picture.
      width: of the picture.

    Raises:
      ValueError: it is no such channel, or of another size.
    """
    bits = _Bits(bytes(iter(data)))  # of a number ``bytes`` would make as many zeros
    count = bits.read(32)
    if count != height * width * _CHANNELS:
        raise ValueError(f"it is of {count // _CHANNELS} pixels and not of {width}x{height}")
    word = bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    if word != _WORD_BITS:
        raise ValueError(f"its words have {word} bits")
    out = np.empty(count, np.uint8)
    at = 0
    while at < count:
        repeated = bits.read(1)
        end = at + 1 + bits.read(lengths[bits.read(2)])
        if end > count:
            raise ValueError("its runs are too long")
        if repeated:
            out[at:end] = bits.read(_WORD_BITS)
        else:
            out[at:end] = bits.words(end - at)
        at = end
    return out.reshape(height, width, _CHANNELS)[..., 3]


def write_brush(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """Packs a mask for Label Studio: 255 in every channel where it is true; all runs repeated."""
    head = f"{mask.size * _CHANNELS:032b}{_WORD_BITS - 1:05b}"
    parts = [head, *(f"{length - 1:04b}" for length in _LENGTH_BITS)]
    longest = 1 << _LENGTH_BITS[-1]
    for run, value in zip(mask_to_runs(mask.ravel()), itertools.cycle((0, 255)), strict=False):
        left = run * _CHANNELS
        while left:
            length = min(left, longest)
            kind = next(k for k, size in enumerate(_LENGTH_BITS) if length <= 1 << size)
            parts.append(f"1{kind:02b}{length - 1:0{_LENGTH_BITS[kind]}b}{value:08b}")
            left -= length
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]


class _Bits:
    """Bits of bytes, from the highest of the first one."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def read(self, count: int) -> int:
        """The number that the next bits are."""
        end = self._at + count
        if end > 8 * len(self._data):
            raise ValueError("it is cut off")
        number = int.from_bytes(self._data[self._at // 8 : (end + 7) // 8], "big")
        self._at = end
        return (number >> (-end % 8)) & ((1 << count) - 1)

    def words(self, count: int) -> UInt8[np.ndarray, " n"]:
        """The next bytes, which need not begin at one."""
        end = self._at + _WORD_BITS * count
        if end > 8 * len(self._data):
            raise ValueError("it is cut off")
        part = np.frombuffer(self._data[self._at // 8 : (end + 7) // 8], np.uint8)
        start = self._at % 8
        self._at = end
        return np.packbits(np.unpackbits(part)[start : start + _WORD_BITS * count])
