"""Colours what the rays of a frame hit: textures, light, shadows and haze."""

from __future__ import annotations

import cv2
import numpy as np

from wrp_jax.data.synthetic.camera import View
from wrp_jax.data.synthetic.render import GROUND, SKY, SURFACES, Samples
from wrp_jax.data.synthetic.road import TERRAIN
from wrp_jax.data.synthetic.scene import Scene
from wrp_jax.data.synthetic.textures import LEVELS

_TILE = np.array([6.0, 1.5, 4.0, 5.0], np.float32)
"""Metres that one texture of each surface covers."""


def paint(scene: Scene, view: View, hits: Samples, focal: float, rays: np.ndarray) -> np.ndarray:
    """Colours of a frame in even light, before the camera's own faults.

    Args:
      scene: what there is to see.
      view: the frame's view of it.
      hits: from ``render.cast``.
      focal: focal length in pixels.
      rays: ``[3, 3]``: from a pixel to the direction of its ray in the world.

    Returns:
      float32 ``[H, W, 3]``, 0 … 1 (and a little above in bright light).
    """
    samples, h, w = hits.ids.shape
    # Where all samples of a pixel agree, its centre stands for them: textures are smooth at the
    # level they are read from.
    edge = np.zeros((h, w), bool)
    for field in (hits.ids, hits.surface, hits.shade):
        edge |= (field != field[0]).any(axis=0)
    inner, border = np.flatnonzero(~edge), np.flatnonzero(edge)
    every = (border + h * w * np.arange(samples)[:, None]).ravel()
    color = _shade(scene, view, hits, focal, rays, np.concatenate([inner, every]))
    picture = np.empty((h * w, 3), np.float32)
    picture[inner] = color[: len(inner)]
    picture[border] = color[len(inner) :].reshape(samples, len(border), 3).mean(axis=0)
    return picture.reshape(h, w, 3)


def _shade(
    scene: Scene, view: View, hits: Samples, focal: float, rays: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Colours, float32 ``[n, 3]``, of samples that are chosen by their flat index."""
    ids, depth = hits.ids.ravel()[chosen], hits.inverse_depth.ravel()[chosen]
    texture, s, t, size = _texture_coordinates(scene, hits, rays, chosen)
    town = scene.town.atlas
    level = np.log2(np.maximum(size / (focal * np.maximum(depth, 1e-4)), 1e-3)) - 0.3
    level[ids == SKY] = 0
    level = np.clip(np.rint(level), 0, LEVELS - 1).astype(np.int32)
    corner, extent = town.corner[texture, level], town.size[texture, level]
    # Half a texel stays clear of the neighbouring texture.
    place = np.stack([s, t], -1) * extent - 0.5
    place = (corner + np.clip(place, 0, extent - 1)).astype(np.float32)
    color = _look_up(town.sheet, place).astype(np.float32) / 255

    tint = np.concatenate([np.ones((2, 3)), scene.tint]) * view.lit[:, None] * scene.light
    color *= tint.astype(np.float32)[ids]
    color *= hits.shade.ravel()[chosen, None]
    veil = 1 - np.exp(np.float32(-scene.haze[3]) / np.maximum(depth, np.float32(1e-3)))
    veil[ids == SKY] = 0
    haze = (scene.haze[:3] / 255 * scene.light).astype(np.float32)
    return color + veil[:, None] * (haze - color)


def _look_up(sheet: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Bilinear samples of ``sheet`` at ``place`` ``[n, 2]``, uint8 ``[n, 3]``."""
    n, width = len(place), 1024
    # cv2.remap takes maps of less than 2**15 rows and columns.
    rows = np.zeros((-(-n // width) * width, 2), np.float32)
    rows[:n] = place
    color = cv2.remap(sheet, rows.reshape(-1, width, 2), None, cv2.INTER_LINEAR)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return color.reshape(-1, 3)[:n]


def _texture_coordinates(scene: Scene, hits: Samples, rays: np.ndarray, chosen: np.ndarray):
    """Texture, place on it (0 … 1 twice) and texels per metre of the chosen samples."""
    kinds, sizes = scene.town.kinds, scene.town.atlas.size
    ids = hits.ids.ravel()[chosen]
    texture = np.concatenate([[scene.sky, kinds["road"][0]], scene.texture])[ids]
    repeat = np.concatenate([np.ones((2, 2)), scene.repeat]).astype(np.float32)[ids]
    s = hits.s.ravel()[chosen] * repeat[:, 0]
    t = hits.t.ravel()[chosen] * repeat[:, 1]
    length = np.linalg.norm(scene.u, axis=-1) / scene.repeat[:, 0]
    texels = np.concatenate([[1.0, 1.0], sizes[scene.texture, 0, 0] / np.maximum(length, 1e-6)])
    texels = texels.astype(np.float32)[ids]

    ground = np.flatnonzero(ids == GROUND)
    kind = hits.surface.ravel()[chosen[ground]]
    table = np.array([kinds[SURFACES[k]][0] for k in range(len(SURFACES))])
    # A town has two terrains; which one a street shows goes with its sky.
    table[TERRAIN] = kinds["terrain"][scene.sky % len(kinds["terrain"])]
    texture[ground] = table[kind]
    s[ground] /= _TILE[kind]
    t[ground] /= _TILE[kind]
    # Far ground is seen at a slant: between the texel's width and its much shorter height.
    depth = 1 / np.maximum(hits.inverse_depth.ravel()[chosen[ground]], 1e-4)
    slant = np.clip(np.sqrt(depth / 1.5), 1.0, 4.0)
    texels[ground] = (sizes[table, 0, 0] / _TILE)[kind] * slant

    sky = np.flatnonzero(ids == SKY)
    _, h, w = hits.ids.shape
    pixel = chosen[sky] % (h * w)
    x, y, z = rays @ np.stack([pixel % w, pixel // w, np.ones(len(pixel))])
    s[sky] = np.arctan2(x, z) / np.pi
    t[sky] = 1 - np.clip(np.arctan2(y, np.hypot(x, z)), 0, 0.999)
    return texture, s % 1, t % 1, texels
