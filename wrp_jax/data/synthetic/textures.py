"""Small pictures that surfaces are covered with, packed into one atlas with mip levels.

RGB is uint8 in 0 … 255, row 0 on top. A texture may be cut out: ``alpha`` is then a bool mask of
what is there.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

LEVELS = 6
_SHEET = 2048


def value_noise(
    rng: np.random.Generator, height: int, width: int, cells: int, octaves: int = 3
) -> np.ndarray:
    """Smooth noise that tiles in both directions.

    Args:
      rng: source of randomness.
      height: size in texels.
      width: size in texels.
      cells: cells of the coarsest octave along each side; each octave doubles them.
      octaves: number of octaves, each half as strong as the one before.

    Returns:
      float32 ``[height, width]``, 0 … 1.
    """
    total = np.zeros((height, width), np.float32)
    strength, norm = 1.0, 0.0
    for octave in range(octaves):
        n = cells * 2**octave
        grid = np.pad(rng.random((n, n), dtype=np.float32), 2, mode="wrap")
        big = cv2.resize(
            grid, ((n + 4) * width // n, (n + 4) * height // n), interpolation=cv2.INTER_CUBIC
        )
        y, x = 2 * height // n, 2 * width // n
        total += strength * big[y : y + height, x : x + width]
        norm += strength
        strength *= 0.5
    return np.clip(total / norm, 0.0, 1.0)


def grain(rng: np.random.Generator, rgb: np.ndarray, size: float | int) -> np.ndarray:
    """Adds grey noise of one texel to ``rgb`` (float ``[h, w, 3]``, 0 … 255)."""
    return rgb + (rng.random(rgb.shape[:2], dtype=np.float32)[..., None] - 0.5) * 2 * size


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    """Rounds to uint8, clipped to 0 … 255."""
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Atlas:
    """All textures of a town on one sheet.

    Attributes:
      sheet: uint8 ``[h, w, 3]``.
      corner: float32 ``[textures, LEVELS, 2]``: x and y of each level's first texel.
      size: float32 ``[textures, LEVELS, 2]``: width and height of each level.
      alpha: per texture the mask of what is there, or None where it is solid.
    """

    sheet: np.ndarray
    corner: np.ndarray
    size: np.ndarray
    alpha: tuple[np.ndarray | None, ...]


class AtlasWriter:
    """Collects textures under the name of their kind."""

    def __init__(self):
        self.kinds: dict[str, list[int]] = {}
        self._textures: list[tuple[np.ndarray, np.ndarray | None]] = []

    def add(self, kind: str, rgb: np.ndarray, alpha: np.ndarray | None = None) -> None:
        """Adds a texture ``[h, w, 3]`` (float or uint8, 0 … 255) and its bool mask ``[h, w]``."""
        rgb = to_uint8(rgb)
        if alpha is not None and alpha.any():
            # What lies outside the mask must not shine through at coarse levels.
            rgb[~alpha] = rgb[alpha].mean(axis=0).astype(np.uint8)
        self.kinds.setdefault(kind, []).append(len(self._textures))
        self._textures.append((rgb, alpha))

    def pack(self) -> Atlas:
        """Puts every level of every texture on one sheet, row by row, the tall ones first."""
        levels = []
        for index, (rgb, _) in enumerate(self._textures):
            level = rgb
            for k in range(LEVELS):
                levels.append((index, k, level))
                h, w = level.shape[:2]
                level = cv2.resize(
                    level, (max(w // 2, 1), max(h // 2, 1)), interpolation=cv2.INTER_AREA
                )
        levels.sort(key=lambda item: -item[2].shape[0])
        corner = np.zeros((len(self._textures), LEVELS, 2), np.float32)
        size = np.zeros_like(corner)
        x = y = row = 0
        places = []
        for index, k, level in levels:
            h, w = level.shape[:2]
            if x + w > _SHEET:
                x, y, row = 0, y + row, 0
            row = max(row, h)
            places.append((y, x, level))
            corner[index, k], size[index, k] = (x, y), (w, h)
            x += w
        sheet = np.zeros((y + row, _SHEET, 3), np.uint8)
        for top, left, level in places:
            sheet[top : top + level.shape[0], left : left + level.shape[1]] = level
        return Atlas(sheet, corner, size, tuple(alpha for _, alpha in self._textures))
