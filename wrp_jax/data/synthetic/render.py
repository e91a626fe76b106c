"""Casts the rays of one frame onto the patches: which one is seen where, and in what colour.

Each pixel has five samples: its centre, which alone decides labels and motion, and four around
it that soften edges in the picture.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from wrp_jax.data.synthetic.camera import View
from wrp_jax.data.synthetic.config import INDEX
from wrp_jax.data.synthetic.road import MARKING, PAVEMENT, ROAD, TERRAIN
from wrp_jax.data.synthetic.scene import WORLD_PATCHES, Scene
from wrp_jax.data.synthetic.textures import LEVELS

SKY, GROUND = 0, 1

_SAMPLES = np.array(
    [[0, 0], [-0.125, -0.375], [0.375, -0.125], [0.125, 0.375], [-0.375, 0.125]], np.float32
)
_SURFACES = {ROAD: "road", MARKING: "marking", PAVEMENT: "pavement", TERRAIN: "terrain"}
_TILE = np.array([6.0, 1.5, 4.0, 5.0], np.float32)
"""Metres that one texture of each surface covers."""


@dataclasses.dataclass
class Samples:
    """What the rays of a frame hit; arrays ``[5, H, W]``.

    Attributes:
      ids: patch, int32.
      s, t: where on the patch, float32.
      inverse_depth: 1/m, float32; 0 for the sky.
      shade: light that shadows on the ground leave, float32, 0 … 1.
    """

    ids: np.ndarray
    s: np.ndarray
    t: np.ndarray
    inverse_depth: np.ndarray
    shade: np.ndarray


def cast(scene: Scene, view: View, height: int, width: int) -> Samples:
    """Finds the nearest patch along every ray."""
    shape = (len(_SAMPLES), height, width)
    hits = Samples(
        np.zeros(shape, np.int32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.ones(shape, np.float32),
    )
    x = np.arange(width, dtype=np.float32) + _SAMPLES[:, 0, None, None]
    y = np.arange(height, dtype=np.float32)[:, None] + _SAMPLES[:, 1, None, None]
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
    labels = classes[hits.ids[0]]
    ground = hits.ids[0] == GROUND
    kind = scene.road.surface(
        hits.s[0][ground].astype(np.float64), hits.t[0][ground].astype(np.float64)
    )
    table = np.array([INDEX[_SURFACES[k]] for k in range(4)], np.int32)
    labels[ground] = table[kind]
    return labels


def paint(scene: Scene, view: View, hits: Samples, focal: float, rays: np.ndarray) -> np.ndarray:
    """Colours of a frame in even light, before the camera's own faults.

    Args:
      scene: what there is to see.
      view: the frame's view of it.
      hits: from ``cast``.
      focal: focal length in pixels.
      rays: ``[3, 3]``: from a pixel to the direction of its ray in the world.

    Returns:
      float32 ``[H, W, 3]``, 0 … 1 (and a little above in bright light).
    """
    texture, s, t, size = _texture_coordinates(scene, hits, rays)
    town = scene.town.atlas
    with np.errstate(divide="ignore"):
        texels_per_pixel = size / (focal * np.maximum(hits.inverse_depth, 1e-4))
    level = np.log2(np.maximum(texels_per_pixel, 1e-3)) - 0.3
    level[hits.ids == SKY] = 0
    level = np.clip(np.rint(level), 0, LEVELS - 1).astype(np.int32)
    corner, extent = town.corner[texture, level], town.size[texture, level]
    # Half a texel stays clear of the neighbouring texture.
    column = corner[..., 0] + np.clip(s * extent[..., 0] - 0.5, 0, extent[..., 0] - 1)
    row = corner[..., 1] + np.clip(t * extent[..., 1] - 0.5, 0, extent[..., 1] - 1)
    samples, h, w = hits.ids.shape
    flat = (samples * h, w)
    color = cv2.remap(
        town.sheet,
        column.reshape(flat).astype(np.float32),
        row.reshape(flat).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    color = color.reshape(samples, h, w, 3).astype(np.float32) / 255

    tint = np.concatenate([np.ones((2, 3)), scene.tint])
    tint = tint * view.lit[:, None] * scene.light
    tint[SKY] = scene.light
    color *= tint.astype(np.float32)[hits.ids]
    color *= hits.shade[..., None]
    veil = 1 - np.exp(-scene.haze[3] / np.maximum(hits.inverse_depth, 1e-3))
    veil[hits.ids == SKY] = 0
    haze = (scene.haze[:3] / 255 * scene.light).astype(np.float32)
    color += veil.astype(np.float32)[..., None] * (haze - color)
    return color.mean(axis=0)


def _texture_coordinates(scene: Scene, hits: Samples, rays: np.ndarray):
    """Texture, place on it (0 … 1) and texels per metre, for every sample."""
    kinds = scene.town.kinds
    texture = np.concatenate([[scene.sky, kinds["road"][0]], scene.texture])[hits.ids]
    repeat = np.concatenate([np.ones((2, 2)), scene.repeat]).astype(np.float32)[hits.ids]
    s, t = hits.s * repeat[..., 0], hits.t * repeat[..., 1]
    width = scene.town.atlas.size[scene.texture, 0, 0]
    length = np.linalg.norm(scene.u, axis=-1) / scene.repeat[:, 0]
    size = np.concatenate([[1.0, 1.0], width / np.maximum(length, 1e-6)])
    size = size.astype(np.float32)[hits.ids]

    ground = hits.ids == GROUND
    x, z = hits.s[ground], hits.t[ground]
    kind = scene.road.surface(x.astype(np.float64), z.astype(np.float64))
    # The second ground texture of a town is its other terrain: which one, the street's sky says.
    table = np.array([kinds[_SURFACES[k]][0] for k in range(4)])
    table[TERRAIN] = kinds["terrain"][scene.sky % len(kinds["terrain"])]
    texture[ground] = table[kind]
    tile = _TILE[kind]
    s[ground], t[ground] = x / tile, z / tile
    texels = scene.town.atlas.size[table, 0, 0][kind] / tile
    # Far ground is seen at a slant: between the texel's width and its much shorter height.
    slant = np.sqrt(np.maximum(1 / np.maximum(hits.inverse_depth[ground], 1e-4) / 1.5, 1.0))
    size[ground] = texels * np.minimum(slant, 4.0)

    _, y, x = np.nonzero(hits.ids == SKY)
    sky = hits.ids == SKY
    direction = rays @ np.stack([x, y, np.ones_like(x)]).astype(np.float64)
    azimuth = np.arctan2(direction[0], direction[2])
    elevation = np.arctan2(direction[1], np.hypot(direction[0], direction[2]))
    s[sky] = azimuth / (2 * np.pi) * 2
    t[sky] = 1 - np.clip(elevation / 1.0, 0, 0.999)
    return texture, s % 1, t % 1, size
