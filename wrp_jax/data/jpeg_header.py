"""The size of a JPEG, from the beginning of its file: for lists of many thousand frames.

Pillow reads tables and settings along, which takes most of the time of looking through a video.
What is not as cameras and ffmpeg write it, or may be turned, is left to Pillow.
"""

from __future__ import annotations

import struct

HEAD_BYTES = 2048
"""As much of a file as is looked at; plain headers have some 600 bytes."""

_SEGMENT = struct.Struct(">HH")  # marker, length with itself
_FRAME = struct.Struct(">BHHB")  # bits, height, width, components
_SCAN = 0xFFDA
"""Begins the picture; until there a file may still say that it is turned."""
_FRAME_MARKERS = frozenset({0xFFC0, 0xFFC1, 0xFFC2})
_PLAIN = frozenset({0xFFE0, 0xFFDB, 0xFFC4, 0xFFDD, 0xFFFE})
"""JFIF, quantisation, Huffman, restart interval, comment. In others a picture may say that it is
turned (Exif), one of several, or of other colours."""


def plain_size(head: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG with 8 bits per sample, grey or of three components.

    Args:
      head: the first bytes of the file.

    Returns:
      None where the header does not end there, or holds anything that is not plain.

    Reference: ITU-T T.81, B.2.
    """
    if head[:2] != b"\xff\xd8":
        return None
    size, at = None, 2
    while at + _SEGMENT.size <= len(head):
        marker, length = _SEGMENT.unpack_from(head, at)
        if marker == _SCAN:
            return size
        if marker in _FRAME_MARKERS:
            if size or at + 4 + _FRAME.size > len(head):
                return None
            bits, height, width, components = _FRAME.unpack_from(head, at + 4)
            whole = bits == 8 and components in (1, 3) and length == 8 + 3 * components
            if not (whole and height and width):
                return None
            size = height, width
        elif marker not in _PLAIN or length < 2:
            return None
        at += 2 + length
    return None
