"""The one place where pictures are decoded and encoded, with Pillow.

OpenCV is not used for decoding: it expands palette labels to colours without a word, has no
limit on the number of pixels and turns some files by their EXIF orientation and others not.
"""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PpmImagePlugin, TiffImagePlugin

from wrp_jax.files.regular import open_regular
from wrp_jax.files.regular import read_bytes as read_bytes  # for who decodes what it reads
from wrp_jax.types import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
MAX_PIXELS = 89_478_485
"""Pillow's own limit against decompression bombs: 1 GiB / 4 / 3."""

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")
_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_log = logging.getLogger(__name__)


def decode_frame(
    data: bytes, where: Path | str, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes a frame: EXIF orientation applied, any 8-bit colour mode turned into RGB.

    Args:
      data: the content of the file.
      where: what to name in messages.
      max_pixels: more are refused, before anything is decoded.

    Raises:
      UserError: empty, truncated or damaged data, no picture at all, more than 8 bits per
        channel, or more than ``max_pixels``.
    """
    image = _open(data, where, max_pixels)
    _refuse_deep(image, data[:32], where)
    turn = _TRANSPOSE.get(_orientation(image))
    _load(image, where)
    if image.mode not in ("RGB", "L", "P", "1"):
        _tell_conversion(image.mode)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode != "RGB":
        image = image.convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
    return np.array(image)


def decode_label(data: bytes, where: Path | str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes a label as it is: palette indices stay indices, nothing is converted.

    ``label_maps.ids_to_indices`` says what is wrong with the array if it is no label.

    Returns:
      ``[H, W]`` of the file's own type, or ``[H, W, C]`` for colour files.

    Raises:
      UserError: as ``decode_frame``, but 16-bit grey is accepted.
    """
    image = _open(data, where, max_pixels)
    _load(image, where)
    return np.array(image)


def frame_size(
    file: Path | bytes, where: Path | str, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """Height and width of a frame as ``decode_frame`` returns it, from the header alone.

    Args:
      file: a file, or its content.
      where: what to name in messages.
      max_pixels: more are refused.

    Raises:
      UserError: no picture, too large, more than 8 bits per channel, damaged (told by the
        checksums of a PNG) or cut off (told by the mark at the file's end; where that is
        missing the file is decoded to find out).
    """
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else open_regular(file) as stream:
            head = stream.read(32)
            stream.seek(0)
            image = _open(stream, where, max_pixels)
            _refuse_deep(image, head, where)
            width, height = image.size
            if _orientation(image) >= 5:
                width, height = height, width
            if not _has_end_mark(stream, image.format):
                _load(image, where)
            elif image.format == "PNG":
                _verify(image, where)
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or error}.") from error
    return height, width


def plain_bytes(data: bytes, where: Path | str, max_pixels: int = MAX_PIXELS) -> bytes:
    """A frame's file for storage that every decoder reads as the same RGB picture.

    That is the file as it is where it can be, and its pixels as PNG
    otherwise (other formats, grey, alpha, CMYK, EXIF orientation).
    """
    pixels = decode_frame(data, where, max_pixels)
    image = _open(data, where, max_pixels)
    if image.format in ("PNG", "JPEG") and image.mode == "RGB" and _orientation(image) == 1:
        return data
    return encode_png(pixels)


def encode_png(pixels: np.ndarray, colors: UInt8[np.ndarray, "256 3"] | None = None) -> bytes:
    """PNG of uint8 ``[H, W]`` (grey, or palette where ``colors`` are given) or ``[H, W, 3]``."""
    if pixels.dtype != np.uint8:
        raise TypeError(f"encode_png takes uint8, not {pixels.dtype}")
    image = Image.fromarray(pixels)
    if colors is not None:
        # The values are indices already: putpalette on a grey picture keeps them.
        image.putpalette(colors.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _open(
    data: bytes | io.BufferedReader | io.BytesIO, where: Path | str, max_pixels: int
) -> Image.Image:
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    if not stream.read(1):
        raise UserError(f"{where} is empty (0 bytes): copy it again or remove it.")
    stream.seek(0)
    try:
        image = Image.open(stream, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{where} is too large: it may have {max_pixels} pixels.") from error
    except Exception as error:  # the codecs raise whatever they meet in untrusted bytes
        raise UserError(
            f"{where} is not a picture (PNG, JPEG, BMP, WebP, TIFF, PPM) or is damaged at its "
            "beginning: replace or remove it."
        ) from error
    if image.width * image.height > max_pixels:
        raise UserError(
            f"{where} is too large: it has {image.width}x{image.height} pixels and may have "
            f"{max_pixels} in all."
        )
    return image


def _load(image: Image.Image, where: Path | str) -> None:
    _complete(image.load, where)


def _verify(image: Image.Image, where: Path | str) -> None:
    """Compares the checksums of a PNG, without decoding it; the image is of no use then."""
    _complete(image.verify, where)


def _complete(read: Callable[[], Any], where: Path | str) -> None:
    try:
        read()
    except Exception as error:  # see _open
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(
            f"{where} is damaged or cut off ({reason}): copy it again or remove it."
        ) from error


def _refuse_deep(image: Image.Image, head: bytes, where: Path | str) -> None:
    # Pillow cuts 16-bit RGB to 8 bits silently, so the headers are asked.
    deep = image.mode.startswith(("I", "F"))
    if image.format == "PNG":
        deep |= head[24] == 16
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        deep |= max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8
    elif isinstance(image, PpmImagePlugin.PpmImageFile) and image.tile[0].codec_name == "ppm":
        arguments: Any = image.tile[0].args  # raw mode and largest value
        deep |= arguments[1] > 255
    if deep:
        raise UserError(
            f"{where} has more than 8 bits per channel: convert frames to 8-bit RGB, with the "
            "brightness you want, first."
        )


def _orientation(image: Image.Image) -> int:
    # Pillow would decode a whole PNG to look for EXIF behind the pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF: every other program shows the picture unturned
        return 1
    return value if value in _TRANSPOSE else 1


def _has_end_mark(file: io.BufferedReader | io.BytesIO, image_format: str | None) -> bool:
    """Whether a PNG or JPEG file ends as a complete one does."""
    marks = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
    if image_format not in marks:
        return False
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 8))
    tail = file.read()
    file.seek(position)
    return tail.endswith(marks[image_format])


@functools.cache
def _tell_conversion(mode: str) -> None:
    _log.warning("frames of mode %s are converted to RGB (alpha is dropped)", mode)
