"""Flow in PFM files, as FlyingThings3D has it: float32 rows from the bottom up, third channel 0."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from wrp_jax.data.flow_files import check_size
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UserError

_HEAD = re.compile(rb"PF\s+(\d{1,9})\s+(\d{1,9})\s+(-?\d+(?:\.\d+)?)\s")


def read_pfm(path: Path, size: tuple[int, int] | None = None) -> Float[np.ndarray, "h w 2"]:
    """Reads the two components of a flow; a vector that is not finite comes back as NaN.

    Args:
      path: the file.
      size: height and width of its frames; None: any.

    Raises:
      UserError: no colour PFM, cut off, longer than its header says, or of another size.

    Reference: pauldebevec.com/Research/HDR/PFM: ``PF``, width and height, a scale whose sign
    tells the byte order (negative: little-endian).
    """
    data = read_bytes(path)
    head = _HEAD.match(data)
    if head is None:
        raise UserError(f"{path} is no colour PFM or is damaged: replace it.")
    width, height, scale = int(head[1]), int(head[2]), float(head[3])
    check_size(path, (height, width), size)
    needed = 12 * width * height
    if len(data) - head.end() != needed:
        raise UserError(
            f"{path} has {len(data) - head.end()} bytes behind its header; {width}x{height} "
            f"vectors take {needed}: replace it."
        )
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", offset=head.end())
    flow = values.reshape(height, width, 3)[::-1, :, :2].astype(np.float32)
    known = np.isfinite(flow).all(axis=-1, keepdims=True)
    return np.where(known, flow, np.float32(np.nan))
