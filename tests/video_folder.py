"""A small folder of video that each test may break in its own way."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES = {
    "classes": [
        {"id": 0, "name": "road", "color": [128, 64, 128]},
        {"id": 7, "name": "car", "color": [0, 0, 142]},
        {"id": 255, "name": "void", "color": [0, 0, 0], "void": True},
    ],
    "void_id": 255,
}
COLORS = [[128, 64, 128], [0, 0, 142], [0, 0, 0]]


def write_frame(path: Path, size=(17, 31), seed=0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


def write_label(path: Path, size=(17, 31), seed=0) -> np.ndarray:
    """A palette PNG with ids of ``CLASSES``; returns the class indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    indices = np.random.default_rng(seed).integers(0, 3, size)
    image = Image.fromarray(np.array([0, 7, 255], np.uint8)[indices])
    palette = np.zeros((256, 3), np.uint8)
    palette[[0, 7, 255]] = COLORS
    image.putpalette(palette.tobytes())
    image.save(path)
    return indices.astype(np.int32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sequences of 17x31: ``a`` with 6 frames, labels of 1 and 4; ``b`` with 3 and 0."""
    root = tmp_path / "videos"
    for sequence, count, labelled in (("a", 6, (1, 4)), ("b", 3, (0,))):
        for i in range(count):
            write_frame(root / sequence / "frames" / f"{i:06d}.jpg", seed=i)
        for i in labelled:
            write_label(root / sequence / "labels" / f"{i:06d}.png", seed=i)
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return root
