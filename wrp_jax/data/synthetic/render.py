"""Casts the rays of one frame onto the patches: which one is seen where.

Each pixel has five samples: its centre, which alone decides labels and motion, and four around
it that soften edges in the picture.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from wrp_jax.data.synthetic.camera import View
from wrp_jax.data.synthetic.config import INDEX
from wrp_jax.data.synthetic.road import MARKING, PAVEMENT, ROAD, TERRAIN
from wrp_jax.data.synthetic.scene import WORLD_PATCHES, Scene

SKY, GROUND = 0, 1

SAMPLES = np.array(
    [[0, 0], [-0.125, -0.375], [0.375, -0.125], [0.125, 0.375], [-0.375, 0.125]], np.float32
)
SURFACES = {ROAD: "road", MARKING: "marking", PAVEMENT: "pavement", TERRAIN: "terrain"}
"""Class, and kind of texture, of each surface."""


@dataclasses.dataclass
class Samples:
    """What the rays of a frame hit; arrays ``[5, H, W]``.

    Attributes:
      ids: patch, int32.
      s, t: where on the patch, float32.
      inverse_depth: 1/m, float32; 0 for the sky.
      shade: light that shadows on the ground leave, float32, 0 … 1.
      surface: what covers the ground (see ``road.py``), uint8; 0 elsewhere.
    """

    ids: np.ndarray
    s: np.ndarray
    t: np.ndarray
    inverse_depth: np.ndarray
    shade: np.ndarray
    surface: np.ndarray


def cast(scene: Scene, view: View, height: int, width: int) -> Samples:
    """Finds the nearest patch along every ray."""
    shape = (len(SAMPLES), height, width)
    hits = Samples(
        np.zeros(shape, np.int32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.ones(shape, np.float32),
        np.zeros(shape, np.uint8),
    )
    x = np.arange(width, dtype=np.float32) + SAMPLES[:, 0, None, None]
    y = np.arange(height, dtype=np.float32)[:, None] + SAMPLES[:, 1, None, None]
    inverse = view.inverse.astype(np.float32)
    x0, x1, y0, y1 = view.bounds.T
    drawn = np.flatnonzero((x1 > x0) & (y1 > y0))
    drawn = drawn[drawn >= WORLD_PATCHES]
    # The near ones first: what they hide wholly is skipped.
    for patch in drawn[np.argsort(-view.nearest[drawn], kind="stable")]:
        k = patch - WORLD_PATCHES
        if scene.decal[k] == 0:
            _cast_patch(scene, view, inverse[patch], int(patch), x, y, hits)
    g = inverse[GROUND]
    below = g[2, 0] * x + g[2, 1] * y + g[2, 2]
    free = (hits.ids == SKY) & (below > 1e-4)
    hits.ids[free] = GROUND
    hits.inverse_depth[free] = below[free]
    hits.s[free] = (g[0, 0] * x + g[0, 1] * y + g[0, 2])[free] / below[free]
    hits.t[free] = (g[1, 0] * x + g[1, 1] * y + g[1, 2])[free] / below[free]
    hits.surface[free] = scene.road.surface(
        hits.s[free].astype(np.float64), hits.t[free].astype(np.float64)
    )
    for patch in drawn[scene.decal[drawn - WORLD_PATCHES] > 0]:
        window, across, down, depth = _ray(view, inverse[patch], int(patch), x, y)
        inside = (across >= 0) & (across < depth) & (down >= 0) & (down < depth)
        inside &= hits.ids[window] == GROUND
        hits.shade[window][inside] *= 1 - scene.decal[patch - WORLD_PATCHES]
    return hits


def _ray(view: View, inverse: np.ndarray, patch: int, x: np.ndarray, y: np.ndarray):
    """Patch coordinates, times inverse depth, of the rays within the patch's bounds."""
    x0, x1, y0, y1 = view.bounds[patch]
    window = (slice(None), slice(y0, y1), slice(x0, x1))
    x, y = x[:, :, x0:x1], y[:, y0:y1]
    return window, *(row[0] * x + (row[1] * y + row[2]) for row in inverse)


def _cast_patch(scene: Scene, view: View, inverse, patch: int, x, y, hits: Samples) -> None:
    window, across, down, depth = _ray(view, inverse, patch, x, y)
    before = hits.inverse_depth[window]
    if before.min() >= view.nearest[patch]:
        return
    inside = (depth > before) & (across >= 0) & (across < depth) & (down >= 0) & (down < depth)
    if not inside.any():
        return
    depth = depth[inside]
    s, t = across[inside] / depth, down[inside] / depth
    k = patch - WORLD_PATCHES
    alpha = scene.town.atlas.alpha[scene.texture[k]]
    if alpha is not None:
        h, w = alpha.shape
        column = ((s * scene.repeat[k, 0] % 1) * w).astype(np.int32).clip(0, w - 1)
        row = ((t * scene.repeat[k, 1] % 1) * h).astype(np.int32).clip(0, h - 1)
        there = alpha[row, column]
        inside[inside] = there
        s, t, depth = s[there], t[there], depth[there]
    hits.ids[window][inside] = patch
    hits.inverse_depth[window][inside] = depth
    hits.s[window][inside] = s
    hits.t[window][inside] = t


def label(scene: Scene, hits: Samples) -> np.ndarray:
    """Class index at every pixel centre, int32 ``[H, W]``."""
    classes = np.concatenate([[INDEX["sky"], INDEX["road"]], scene.label]).astype(np.int32)
    ground = np.array([INDEX[SURFACES[k]] for k in range(len(SURFACES))], np.int32)
    ids = hits.ids[0]
    return np.where(ids == GROUND, ground[hits.surface[0]], classes[ids])
