"""Files of kinds that Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    """A file's content."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: np.ndarray, bits: int, color: int = 0, before=b"", behind=b"") -> bytes:
    """A PNG of any depth.

    Args:
      samples: ``[H, W]`` or ``[H, W, C]``, each below ``2**bits``.
      bits: 1, 2, 4, 8 or 16.
      color: PNG's colour type.
      before: parts between header and pixels.
      behind: parts between pixels and end.
    """
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    flat = samples.reshape(height, -1)
    rows = b"".join(b"\0" + pack(row, bits) for row in flat)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + behind
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def pack(row: np.ndarray, bits: int) -> bytes:
    """Samples as bytes, the first in the highest bits."""
    if bits == 16:
        return row.astype(">u2").tobytes()
    spread = (row[:, None].astype(int) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.reshape(-1).astype(np.uint8)).tobytes()


def tiff(samples: np.ndarray, bits: int, photometric: int = 1) -> bytes:
    """A TIFF of one grey channel; photometric 0 says that 0 is white."""
    height, width = samples.shape
    packed = (row.astype("<u2").tobytes() if bits == 16 else pack(row, bits) for row in samples)
    data = b"".join(packed)
    data += bytes(len(data) % 2)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return start + data + struct.pack("<H", len(entries)) + tags + bytes(4)


def bmp(indices: np.ndarray, bits: int, palette: list[tuple[int, int, int]]) -> bytes:
    """A BMP with a palette."""
    height, width = indices.shape
    rows = [pack(row, bits) for row in indices[::-1]]
    data = b"".join(row + bytes(-len(row) % 4) for row in rows)
    table = b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    start = 54 + len(table)
    head = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
    info = (40, width, height, 1, bits, 0, len(data), 0, 0, len(palette), 0)
    return head + struct.pack("<IiiHHIIiiII", *info) + table + data
