"""Writes synthetic clips as a folder of pictures, the layout that every video comes in."""

from __future__ import annotations

import json
from pathlib import Path

from wrp_jax.data import images, label_maps
from wrp_jax.data.synthetic.source import SyntheticSource

_REACH = 10
"""Frames on either side of the labelled frame of a window."""


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
    colors = label_maps.palette(source.classes)
    windows = []
    for sequence in source.sequences:
        clip, names = source.clip(sequence), source.frame_names(sequence)
        frames, labels = root / sequence / "frames", root / sequence / "labels"
        frames.mkdir(parents=True, exist_ok=True)
        labels.mkdir(exist_ok=True)
        for k, name in enumerate(names):
            ids = label_maps.indices_to_ids(clip.labels[k], source.classes)
            (frames / f"{name}.png").write_bytes(images.encode_png(clip.frames[k]))
            (labels / f"{name}.png").write_bytes(images.encode_png(ids, colors))
        key = len(names) // 2
        first, last = max(key - _REACH, 0), min(key + _REACH, len(names) - 1)
        windows.append(f"{sequence} {names[key]} {names[first]} {names[last]}\n")
    (root / "splits").mkdir(exist_ok=True)
    (root / "splits" / "windows.txt").write_text("".join(windows))
    table = label_maps.classes_to_json(source.classes)
    (root / label_maps.CLASSES_FILE).write_text(json.dumps(table, indent=1) + "\n")
