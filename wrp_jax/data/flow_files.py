"""Optical flow in files: Middlebury ``.flo``, KITTI's 16-bit ``.png`` and ``.npz``.

In memory a flow is float32 ``[h, w, 2]``, ``(dx, dy)`` in pixels; a void vector is NaN.

===========  =======================================================  =================
suffix       holds                                                    void
===========  =======================================================  =================
``.flo``     float32 202021.25, int32 w, int32 h, ``(dx, dy)`` rows   above 1e9
``.png``     16-bit RGB: ``64 dx + 32768``, ``64 dy + 32768``, valid  valid is 0
``.npz``     ``flow`` float32 ``[h, w, 2]``; ``valid`` bool, or none  where not valid
===========  =======================================================  =================

Reference: vision.middlebury.edu/flow (``colorTest``, ``flowIO.cpp``); the KITTI flow devkit.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from PIL import Image

from wrp_jax.data.images import MAX_PIXELS
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.npz import NpzFile
from wrp_jax.files.regular import file_size, open_regular, read_bytes
from wrp_jax.types import OutputError, UserError

SUFFIXES = (".flo", ".png", ".npz")

_TAG = 202021.25
_UNKNOWN = 1e9  # Middlebury: anything above is no flow
_WRITTEN_UNKNOWN = np.float32(1.666666752e9)  # what Middlebury's own files hold there
_HEAD = 32  # bytes that hold the headers of .flo and .png
_TAIL = 2**16
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_KITTI_UNIT, _KITTI_ZERO = 64.0, 32768.0


def read_flow(path: Path, size: tuple[int, int] | None = None) -> Float[np.ndarray, "h w 2"]:
    """Reads a flow; the suffix says which format it is.

    Args:
      path: the file.
      size: height and width of its frames, which are compared with the file's header before
        anything is unpacked; None: any.

    Raises:
      UserError: no such file, another format or size, cut off or damaged, or a number that is
        not finite and not marked as void.
    """
    readers = {".flo": _read_flo, ".png": _read_kitti, ".npz": _read_npz}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise UserError(f"{path} is no flow file: flow is read from {', '.join(SUFFIXES)}.")
    flow, valid = readers[suffix](path, size)
    if not np.isfinite(flow[valid]).all():
        raise UserError(
            f"{path} holds NaN or infinity: mark vectors that are not known as void instead (see "
            "wrp_jax/data/flow_files.py)."
        )
    return np.where(valid[..., None], flow, np.float32(np.nan)).astype(np.float32)


def check_flow(path: Path, size: tuple[int, int]) -> None:
    """Checks what can be told without reading the vectors: the header, and the file's length.

    Args:
      path: the file.
      size: height and width of its frames.

    Raises:
      UserError: no such file, another format or size, or cut off.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with NpzFile(path, limit=_most(size)) as file:
            _check_npz(path, file, size)
        return
    with open_regular(path) as file:
        head, length = file.read(_HEAD), file_size(file)
        if suffix == ".flo":
            _check_flo(path, head, length, size)
        else:
            file.seek(max(length - _TAIL, 0))  # something may follow the picture
            _check_kitti(path, head, file.read(), size)


def write_flow(path: Path, flow: Float[np.ndarray, "h w 2"]) -> None:
    """Writes a flow in the format of the suffix; reading gives it back.

    ``.flo`` and ``.npz`` are exact, ``.png`` is to the nearest 1/64 pixel.

    Args:
      path: where to; its folders are made.
      flow: NaN where void.

    Raises:
      UserError: the file cannot be written, or ``.png`` cannot hold a displacement that long.
    """
    valid = np.asarray(np.isfinite(flow).all(axis=-1))
    write_atomically(path, _WRITERS[path.suffix.lower()](path, flow.astype(np.float32), valid))


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is no {path.suffix.lower()} flow or is damaged ({why}): replace it.")


def check_size(path: Path, found: tuple[int, int], size: tuple[int, int] | None) -> None:
    """Refuses the height and width that a flow's header announces.

    Raises:
      UserError: more pixels than any picture may have, or other sides than the frames.
    """
    height, width = found
    if min(found) < 1 or height * width > MAX_PIXELS:
        raise _damaged(path, f"its size is said to be {width}x{height}")
    if size is not None and found != size:
        raise UserError(
            f"{path} is {width}x{height} and its frames are {size[1]}x{size[0]}: compute it at "
            "their size."
        )


def _read_flo(path: Path, size: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    data = read_bytes(path)
    height, width = _check_flo(path, data[:_HEAD], len(data), size)
    flow = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
    # NaN compares false: it counts as known, and is refused.
    return flow, np.logical_not((np.abs(flow) > _UNKNOWN).any(axis=-1))


def _check_flo(
    path: Path, head: bytes, length: int, size: tuple[int, int] | None
) -> tuple[int, int]:
    """Height and width, as the beginning of a file says; its length must be what they take."""
    if len(head) < 12 or np.frombuffer(head, "<f4", 1)[0] != np.float32(_TAG):
        raise _damaged(path, "it does not begin with the number 202021.25")
    width, height = (int(n) for n in np.frombuffer(head, "<i4", 2, 4))
    check_size(path, (height, width), size)
    needed = 12 + 8 * width * height
    if length != needed:
        raise _damaged(path, f"it has {length} bytes; {width}x{height} vectors take {needed}")
    return height, width


def _flo_bytes(path: Path, flow: np.ndarray, valid: np.ndarray) -> bytes:
    del path
    head = np.float32(_TAG).astype("<f4").tobytes() + np.array(valid.shape[::-1], "<i4").tobytes()
    return head + np.where(valid[..., None], flow, _WRITTEN_UNKNOWN).astype("<f4").tobytes()


def _read_kitti(path: Path, size: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    data = read_bytes(path)
    try:
        # OpenCV decodes what is left of a damaged file; Pillow, which cannot decode 16-bit
        # colour, checks the sums of all parts.
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            check_size(path, (image.height, image.width), size)
            image.verify()
    except UserError:
        raise
    except Exception as error:  # whatever the codec meets in untrusted bytes
        raise _damaged(path, "it is cut off, or no PNG") from error
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _damaged(path, "it cannot be decoded") from error
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise _damaged(path, "it is not 16-bit RGB")
    flow = (pixels[..., :0:-1].astype(np.float32) - _KITTI_ZERO) / _KITTI_UNIT
    return flow.astype(np.float32), pixels[..., 0] > 0


def _check_kitti(path: Path, head: bytes, end: bytes, size: tuple[int, int]) -> None:
    """Its signature, sides and kind of colours, and that the file ends as a PNG does."""
    if len(head) < _HEAD or not head.startswith(b"\x89PNG\r\n\x1a\n") or head[12:16] != b"IHDR":
        raise _damaged(path, "it is cut off, or no PNG")
    width, height, bits, colors = struct.unpack_from(">IIBB", head, 16)
    check_size(path, (height, width), size)
    if (bits, colors) != (16, 2):
        raise _damaged(path, "it is not 16-bit RGB")
    if _PNG_END not in end:
        raise _damaged(path, "its end is missing")


def _kitti_bytes(path: Path, flow: np.ndarray, valid: np.ndarray) -> bytes:
    codes = np.rint(np.where(valid[..., None], flow, 0) * _KITTI_UNIT + _KITTI_ZERO)
    if codes.min(initial=0) < 0 or codes.max(initial=0) > 65535:
        longest = np.abs(flow[valid]).max()
        raise OutputError(
            f"{path} cannot hold a displacement of {longest:.0f} pixels (KITTI's PNG ends at 511): "
            "choose flo or npz."
        )
    codes = np.where(valid[..., None], codes, 0)
    pixels = np.concatenate([valid[..., None], codes[..., ::-1]], axis=-1).astype(np.uint16)
    return cv2.imencode(".png", pixels)[1].tobytes()


def _read_npz(path: Path, size: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    with NpzFile(path, limit=_most(size or (1, MAX_PIXELS))) as file:
        _check_npz(path, file, size)
        flow = file.read("flow")
        valid = file.read("valid") if "valid" in file.names else np.ones(flow.shape[:2], bool)
    return flow.astype(np.float32), valid.astype(bool)


def _most(size: tuple[int, int]) -> int:
    """Bytes: vectors and marks of 8 bytes are the longest that are read."""
    return (2 + 1) * 8 * size[0] * size[1]


def _check_npz(path: Path, file: NpzFile, size: tuple[int, int] | None) -> None:
    header = file.header("flow")
    if len(header.shape) != 3 or header.shape[2] != 2 or header.dtype.kind != "f":
        raise _damaged(path, "its array 'flow' is not of floating numbers [h, w, 2]")
    check_size(path, header.shape[:2], size)
    if "valid" in file.names and file.header("valid").shape != header.shape[:2]:
        raise _damaged(path, "its arrays 'flow' and 'valid' differ in size")


def _npz_bytes(path: Path, flow: np.ndarray, valid: np.ndarray) -> bytes:
    del path
    buffer = io.BytesIO()
    np.savez_compressed(buffer, flow=np.where(valid[..., None], flow, 0), valid=valid)
    return buffer.getvalue()


_WRITERS = {".flo": _flo_bytes, ".png": _kitti_bytes, ".npz": _npz_bytes}
