"""The one place where pictures are decoded and encoded, with Pillow.

OpenCV is not used for decoding: it expands palette labels to colours without a word, has no
limit on the number of pixels and turns some files by their EXIF orientation and others not.

The rules are those of every format, and of frames and labels alike: checksums that a file holds
are compared, and the orientation that it states is applied once.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile

from wrp_jax.data import picture_files
from wrp_jax.data.jpeg_header import HEAD_BYTES, plain_size
from wrp_jax.files.regular import open_regular
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
_EXIF_KEYS = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
"""Where Pillow finds an orientation."""
_PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB, _PNG_PALETTE = 0, 2, 3  # colour types
_PNG_UP = 2  # filter: differences from the row above
_GREY_MODES = ("L", "1", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_log = logging.getLogger(__name__)
_warned: set[str] = set()


@dataclasses.dataclass(frozen=True)
class LabelPicture:
    """A label as its file holds it: nothing is stretched, converted or looked up.

    Attributes:
      pixels: samples or palette indices ``[H, W]`` of the file's own type, or 8-bit
        ``[H, W, C]``.
      mode: Pillow's name of what they are: ``L``, ``P``, ``RGB``, ``RGBA``, ``I;16``, ...
      palette: RGB of the entries that the file holds, where there is a palette.
      largest: the largest sample that the file could hold: 255 for 8 bits, 15 for 4.
    """

    pixels: np.ndarray
    mode: str
    palette: UInt8[np.ndarray, "n 3"] | None = None
    largest: int = 255


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
    opened = _open(data, where, max_pixels)
    _refuse_misread(opened, data, where)
    if picture_files.is_deep(opened, data[:32]):
        raise _too_deep(where)
    _tell_conversions(opened, where)
    image: Image.Image = _decode(opened, data, where)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode != "RGB":
        try:
            image = image.convert("RGB")
        except ValueError as error:
            raise UserError(
                f"{where} has colours of the kind {image.mode}: convert it to 8-bit RGB."
            ) from error
    return np.array(image)


def decode_label(data: bytes, where: Path | str, max_pixels: int = MAX_PIXELS) -> LabelPicture:
    """Decodes a label as it is: palette indices stay indices, samples of few bits stay as they are.

    ``label_pictures.ids_of`` says which ids they are.

    Raises:
      UserError: as ``decode_frame``, but 16-bit grey is accepted; a file that holds several
        pictures, or whose compression may have changed ids; colours that are not 8-bit RGB;
        grey samples that Pillow inverts.
    """
    image = _open(data, where, max_pixels)
    _refuse_misread(image, data, where)
    if picture_files.is_lossy(data, image):
        raise UserError(
            f"{where} holds {_kind(image)} data, whose compression changes pixel values: save "
            "labels as PNG from the lossless original."
        )
    if _is_several(image):
        raise UserError(f"{where} holds several pictures: save one label per file, as PNG.")
    grey, mode = image.mode in _GREY_MODES, image.mode
    largest = 255
    if grey and mode[0] in "LI":
        largest = _complete(lambda: picture_files.largest_sample(image), where)
    stretched = not grey and picture_files.largest_sample_of_colors(image) != 255
    if largest is None or stretched or (not grey and picture_files.is_deep(image, data[:32])):
        raise UserError(
            f"{where} holds samples that cannot be read as ids ({_kind(image)}, {mode}): save "
            "labels as 8-bit grey or palette PNG."
        )
    decoded = _decode(image, data, where)
    colors = decoded.getpalette("RGB") if mode == "P" else None
    pixels = np.array(decoded)
    if largest not in (255, 65535):  # undo what Pillow did; each sample has a value of its own
        full = 255 if mode == "L" else 65535
        pixels = np.rint(pixels * (largest / full)).astype(np.uint8 if largest < 256 else np.uint16)
    return LabelPicture(
        pixels,
        mode,
        None if colors is None else np.array(colors, np.uint8).reshape(-1, 3),
        largest,
    )


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
        checksums of a PNG) or cut off (told by the end of a PNG or JPEG; files of other
        formats are decoded to find out).
    """
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else open_regular(file) as stream:
            head = stream.read(HEAD_BYTES)
            size = plain_size(head)
            if size and size[0] * size[1] <= max_pixels and _has_end_mark(stream):
                return size
            stream.seek(0)
            image = _open(stream, where, max_pixels)
            if picture_files.is_deep(image, head):
                raise _too_deep(where)
            if image.format == "JPEG" and _has_end_mark(stream):
                width, height = image.size
                turned = _orientation(image) >= 5
            else:
                stream.seek(0)
                data = stream.read()
                _refuse_misread(image, data, where)
                if image.format == "PNG":
                    width, height = image.size
                    turned = _orientation(image, _checked(image, data, where)) >= 5
                else:
                    (width, height), turned = _decode(image, data, where).size, False
            if turned:
                width, height = height, width
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
    plain = image.format in ("PNG", "JPEG") and image.mode == "RGB"
    if plain and _orientation(image, _checked(image, data, where)) == 1:
        return data
    return encode_png(pixels)


def encode_png(pixels: np.ndarray, colors: UInt8[np.ndarray, "256 3"] | None = None) -> bytes:
    """PNG of uint8 ``[H, W]`` (grey, or palette where ``colors`` are given) or ``[H, W, 3]``.

    Each row is kept as its difference from the one above, in which runs of equal bytes alone are
    looked for. Against zlib's and Pillow's own settings that takes a third to a tenth of the time;
    labels become smaller, cameras' pictures a twentieth larger and soft confidence a fifth.

    Args:
      pixels: as above.
      colors: of the palette, RGB.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"encode_png takes uint8, not {pixels.dtype}")
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = _PNG_UP
    lines[:1, 1:] = rows[:1]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    packed = packer.compress(lines.data) + packer.flush()
    kind = _PNG_PALETTE if colors is not None else _PNG_GREY if pixels.ndim == 2 else _PNG_RGB
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    if colors is not None:
        chunks.append((b"PLTE", colors.tobytes()))
    parts = [_PNG_BEGIN]
    for name, data in (*chunks, (b"IDAT", packed), (b"IEND", b"")):
        sum_ = zlib.crc32(data, zlib.crc32(name))
        parts += [struct.pack(">I", len(data)), name, data, struct.pack(">I", sum_)]
    return b"".join(parts)


def _open(
    data: bytes | io.BufferedReader | io.BytesIO, where: Path | str, max_pixels: int
) -> ImageFile.ImageFile:
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


def _decode(image: ImageFile.ImageFile, data: bytes, where: Path | str) -> Image.Image:
    """The pixels, turned as the file says."""
    exif = _checked(image, data, where)
    _complete(image.load, where)
    turn = _TRANSPOSE.get(_orientation(image, exif))
    return image if turn is None else image.transpose(turn)


def _checked(image: ImageFile.ImageFile, data: bytes, where: Path | str) -> bytes | None:
    """Compares the checksums of a file; EXIF data of a PNG, wherever they stand."""
    if image.format == "PNG":
        return _complete(lambda: picture_files.png_exif(data), where)
    _complete(lambda: picture_files.check_sums(data, image), where)
    return None


def _complete(read: Callable[[], Any], where: Path | str) -> Any:
    try:
        return read()
    except Exception as error:  # see _open
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(
            f"{where} is damaged or cut off ({reason}): copy it again or remove it."
        ) from error


def _too_deep(where: Path | str) -> UserError:
    return UserError(
        f"{where} has more than 8 bits per channel: convert frames to 8-bit RGB, with the "
        "brightness you want, first."
    )


def _refuse_misread(image: ImageFile.ImageFile, data: bytes, where: Path | str) -> None:
    if picture_files.is_misread(image, data[:32]):
        raise UserError(f"{where} is a bitmap of few greys, which is read wrongly: save it as PNG.")


def _orientation(image: ImageFile.ImageFile, exif: bytes | None = None) -> int:
    """1 … 8: how the picture as decoded has yet to be turned.

    Args:
      image: opened.
      exif: of a PNG, where they were found without decoding.
    """
    if image.format == "TIFF":
        return 1  # Pillow turns it when it decodes
    try:
        if exif is not None:
            found = Image.Exif()
            found.load(exif)
        # Pillow would decode a whole PNG to look for EXIF behind the pixels.
        elif image.format == "PNG" and not _EXIF_KEYS & set(image.info):
            return 1
        else:
            found = image.getexif()
        value = found.get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF: every other program shows the picture unturned
        return 1
    return value if value in _TRANSPOSE else 1


def _has_end_mark(file: io.BufferedReader | io.BytesIO) -> bool:
    """Whether a JPEG file ends as a complete one does."""
    file.seek(-2, io.SEEK_END)
    return file.read() == b"\xff\xd9"


def _is_several(image: ImageFile.ImageFile) -> bool:
    """Whether a file holds a film or pages, of which the first is read."""
    # The further pictures of a phone's JPEG (MPO) are maps of brightness or depth, and previews.
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _kind(image: ImageFile.ImageFile) -> str:
    return "JPEG" if image.format == "MPO" else image.format or "unknown"


def _tell_conversions(image: ImageFile.ImageFile, where: Path | str) -> None:
    if image.mode not in ("RGB", "L", "P", "1"):
        mode = image.mode
        _tell_once(f"frames of mode {mode} are converted to RGB (alpha is dropped)", mode)
    if _is_several(image):
        _tell_once(f"{where} holds several pictures: only the first is read", _kind(image))


def _tell_once(message: str, what: str) -> None:
    """Once for each kind of file, not for each file."""
    if what not in _warned:
        _warned.add(what)
        _log.warning("%s", message)
