"""What the bytes of a picture's file tell before it is decoded: sums, losses, depth.

Pillow decodes a PNG without comparing the checksums of its parts, stretches samples of few bits to
0 … 255, cuts those of 16 bits to 8 in some modes, and reads some bitmaps with the wrong number of
bits. Nothing here decodes pixels.

References: PNG (W3C, third edition), 5.3; TIFF 6.0, section 8; RIFF container of WebP
(developers.google.com/speed/webp/docs/riff_container).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from PIL import BmpImagePlugin, ImageFile, PpmImagePlugin, TiffImagePlugin

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEFLATE = (8, 32946)
_LOSSY_TIFF = {6, 7, 33003, 33005, 34712, 34887, 34892, 50001, 50002, 52546}
"""JPEG, JPEG 2000, LERC, lossy DNG, WebP and JPEG XL: lossy, or not known to be lossless."""
_WHITE_IS_ZERO = 0
_PIECE = 1 << 20
_SMALL_SAMPLES = {"L;2": 3, "L;4": 15}
"""Pillow's raw modes of grey samples that it stretches to 0 … 255, and the largest sample."""


class Damaged(ValueError):
    """The file is not as it was written; the text says what tells so."""


def png_exif(data: bytes) -> bytes | None:
    """Compares the checksum of every part of a PNG, up to its end.

    What follows the end of the picture is passed over, as every decoder does.

    Returns:
      The EXIF data, wherever they stand; None where there are none.

    Raises:
      Damaged: a checksum differs, or the end is missing.
    """
    view, position, exif = memoryview(data), len(_PNG_SIGNATURE), None
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        if zlib.crc32(view[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise Damaged(f"the checksum of its part {kind!r} differs")
        if kind == b"eXIf":
            exif = data[position + 8 : end - 4]
        if kind == b"IEND":
            return exif
        position = end
    raise Damaged("its end is missing")


def check_sums(data: bytes, image: ImageFile.ImageFile) -> None:
    """Compares the checksums that a file holds: PNG, and TIFF with deflate. Others hold none.

    Of a PGM or PPM the samples are compared with the largest one that its header names.

    Args:
      data: the content of the file.
      image: opened from it.

    Raises:
      Damaged: a checksum differs, or a sample is too large.
    """
    if image.format == "PNG":
        png_exif(data)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        if tags.get(TiffImagePlugin.COMPRESSION) not in _DEFLATE:
            return
        for starts, lengths in (
            (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS),
            (TiffImagePlugin.TILEOFFSETS, TiffImagePlugin.TILEBYTECOUNTS),
        ):
            for start, length in zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False):
                _inflate(data[start : start + length])
    elif isinstance(image, PpmImagePlugin.PpmImageFile) and image.tile[0].codec_name == "ppm":
        largest = _largest_of_ppm(image)
        kind, start = ">u1" if largest < 256 else ">u2", image.tile[0].offset
        end = start + (len(data) - start) // 2 * 2 if largest > 255 else len(data)
        samples = np.frombuffer(data[start:end], kind)
        count = image.width * image.height * len(image.getbands())
        if samples[:count].max(initial=0) > largest:  # Pillow would cut it to the largest
            raise Damaged(f"it holds samples above {largest}, the largest that its header names")


def _inflate(part: bytes) -> None:
    """Inflates a part, which compares its checksum; keeps nothing of it."""
    stream = zlib.decompressobj()
    try:
        while part and not stream.eof:
            stream.decompress(part, _PIECE)
            part = stream.unconsumed_tail
    except zlib.error as error:
        raise Damaged(str(error)) from error
    if not stream.eof:
        raise Damaged("the end of its compressed data is missing")


def is_lossy(data: bytes, image: ImageFile.ImageFile) -> bool:
    """Whether the file's compression may have changed pixels, whatever the file is called."""
    if image.format == "WEBP":
        return b"VP8 " in _webp_parts(data)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2.get(TiffImagePlugin.COMPRESSION, 1) in _LOSSY_TIFF
    return image.format in ("JPEG", "MPO")


def _webp_parts(data: bytes) -> set[bytes]:
    kinds, position = set(), 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        kinds.add(kind)
        if kind == b"ANMF":  # a frame of an animation: 16 bytes, then parts of its own
            kinds |= _webp_parts(bytes(4) + data[position + 16 : position + 8 + length])
        position += 8 + length + length % 2
    return kinds


def is_deep(image: ImageFile.ImageFile, head: bytes) -> bool:
    """Whether there are more than 8 bits per sample, which Pillow may cut to 8 silently.

    Args:
      image: opened, not loaded.
      head: the first 32 bytes of the file.
    """
    if image.format == "PNG":
        return head[24] == 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8:
            return True
    elif isinstance(image, PpmImagePlugin.PpmImageFile) and _largest_of_ppm(image) > 255:
        return True
    return image.mode.startswith(("I", "F"))


def _largest_of_ppm(image: PpmImagePlugin.PpmImageFile) -> int:
    """The largest sample that the header names, where Pillow stretches the samples; else 255."""
    arguments: Any = image.tile[0].args  # raw mode and largest sample, or the raw mode alone
    stretched = image.tile[0].codec_name in ("ppm", "ppm_plain") and isinstance(arguments, tuple)
    return arguments[1] if stretched else 255


def largest_sample(image: ImageFile.ImageFile) -> int | None:
    """The largest grey sample that the file can hold, where it is less than the mode's own.

    Pillow stretches such samples to the whole range of its mode.

    Args:
      image: of one channel, opened, not loaded.

    Returns:
      3 or 15 for 2 or 4 bits, the ``maxval`` of a PGM, 255 or 65535 for whole bytes; None
      where the samples cannot be had back: they are inverted or in reversed order.
    """
    if isinstance(image, PpmImagePlugin.PpmImageFile):
        if image.tile[0].codec_name == "raw":
            return 255 if image.mode == "L" else 65535
        return _largest_of_ppm(image)
    tags: Any = getattr(image, "tag_v2", {})  # of a TIFF
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
        return None
    if image.mode != "L":
        return 65535
    raw_mode = _raw_mode(image)
    return _SMALL_SAMPLES.get(raw_mode, 255 if raw_mode in ("L", "L;R") else None)


def largest_sample_of_colors(image: ImageFile.ImageFile) -> int:
    """As ``largest_sample``, of a picture of several channels: 255 where they are as they were."""
    return _largest_of_ppm(image) if isinstance(image, PpmImagePlugin.PpmImageFile) else 255


def _raw_mode(image: ImageFile.ImageFile) -> str:
    if not image.tile:
        raise ValueError("it has no pixels")
    arguments: Any = image.tile[0].args
    return arguments if isinstance(arguments, str) else arguments[0]


def is_misread(image: ImageFile.ImageFile, head: bytes) -> bool:
    """Whether Pillow would read a bitmap with another number of bits than it has.

    It takes every bitmap whose colours are the greys 0, 1, 2, … for one of 8 bits, and every one
    of black and white for one of 1 bit.

    Args:
      image: opened, not loaded.
      head: the first 32 bytes of the file.
    """
    if not isinstance(image, BmpImagePlugin.BmpImageFile) or image.mode not in ("L", "1"):
        return False
    header = struct.unpack_from("<I", head, 14)[0]
    bits = struct.unpack_from("<H", head, 24 if header == 12 else 28)[0]
    return bits != (8 if image.mode == "L" else 1)
