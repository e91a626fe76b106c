"""Writes synthetic clips as a folder of pictures, the layout that every video comes in."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from wrp_jax.data.synthetic.config import CLASSES
from wrp_jax.data.synthetic.source import SyntheticSource

_REACH = 10
"""Frames on either side of the labelled frame of a window."""


def class_table() -> dict:
    """The content of ``classes.json``."""
    return {
        "classes": [
            {"id": i, "name": name, "color": CLASSES.colors[k].tolist(), "void": CLASSES.void[k]}
            for k, (i, name) in enumerate(zip(CLASSES.ids, CLASSES.names, strict=True))
        ],
        "void_id": CLASSES.ids[-1],
        "num_classes": CLASSES.num_classes,
    }


def frame_png(frame: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """An RGB frame, uint8 ``[H, W, 3]``, as PNG."""
    return _png(Image.fromarray(frame))


def label_png(label: Int[np.ndarray, "h w"], *, palette: bool) -> bytes:
    """A label map, ``[H, W]`` class indices, as 8-bit PNG of ids, grey or with the colours."""
    image = Image.fromarray(np.asarray(CLASSES.ids, np.uint8)[label])
    if palette:
        image.putpalette(CLASSES.colors.ravel().tolist())
    return _png(image)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def write_folder(source: SyntheticSource, root: Path | str) -> None:
    """Writes all clips of a source.

    ``root/<sequence>/frames/*.png``, ``root/<sequence>/labels/*.png`` (palette PNG of ids, every
    frame), ``root/splits/windows.txt`` (one window per clip, its middle frame labelled) and, when
    all else is there, ``root/classes.json``. What is there already is written over.

    Args:
      source: from ``open_synthetic``.
      root: folder to write to; made if missing.
    """
    root = Path(root)
    windows = []
    for sequence in source.sequences:
        clip, names = source.clip(sequence), source.frame_names(sequence)
        frames, labels = root / sequence / "frames", root / sequence / "labels"
        frames.mkdir(parents=True, exist_ok=True)
        labels.mkdir(exist_ok=True)
        for k, name in enumerate(names):
            (frames / f"{name}.png").write_bytes(frame_png(clip.frames[k]))
            (labels / f"{name}.png").write_bytes(label_png(clip.labels[k], palette=True))
        key = len(names) // 2
        first, last = max(key - _REACH, 0), min(key + _REACH, len(names) - 1)
        windows.append(f"{sequence} {names[key]} {names[first]} {names[last]}\n")
    (root / "splits").mkdir(exist_ok=True)
    (root / "splits" / "windows.txt").write_text("".join(windows))
    (root / "classes.json").write_text(json.dumps(class_table(), indent=1) + "\n")
