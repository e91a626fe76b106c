"""The camera: how it drives, and how it sees patches.

A patch point ``(s, t)`` falls on pixel ``(x, y)`` at depth z by ``z (x, y, 1) = M (s, t, 1)``:
one 3x3 matrix per patch and frame. Its inverse casts the ray of a pixel onto the patch, and the
matrices of two frames give the exact motion of every pixel. Pixel centres are whole numbers.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.road import Road
from wrp_jax.data.synthetic.scene import Scene

_NEAR = 0.15
"""Nothing nearer than this is seen, metres."""


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera over the frames of a clip.

    Attributes:
      intrinsics: ``[3, 3]``.
      position: ``[frames, 3]``, metres.
      axes: ``[frames, 3, 3]``: rows right, down and ahead, in the world.
    """

    intrinsics: np.ndarray
    position: np.ndarray
    axes: np.ndarray


def drive(config: SyntheticConfig, road: Road, rng: np.random.Generator) -> Camera:
    """Drives along the right lane: speed that wanders, bends, glances aside, shakes and rolls."""
    n = config.frames
    time = np.arange(n, dtype=np.float64)

    def wander(period: float) -> np.ndarray:
        """A smooth curve within -1 … 1."""
        waves = rng.uniform(0.7, 1.4, 2) * period, rng.uniform(0, 2 * np.pi, 2)
        return sum(0.5 * np.sin(2 * np.pi * time / w + p) for w, p in zip(*waves, strict=True))

    pace = config.speed * rng.uniform(0.6, 1.15) * (1 + 0.25 * wander(40.0))
    z = np.concatenate([[0.0], np.cumsum(pace)[:-1]])
    lane = rng.uniform(0.3, 0.42) * road.half_width
    # Drifting in the lane and bouncing come with driving.
    x = road.centre(z) + lane + config.speed * 0.15 * wander(25.0)
    y = rng.uniform(1.25, 1.9) + config.speed * 0.02 * wander(6.0)
    # The angle is bounded, so that the camera keeps looking down the street.
    angle = config.turn * (rng.choice([-1, 1]) * (time - n / 2) * rng.uniform(0.2, 1.0))
    angle = 0.7 * np.tanh(angle / 0.7) + config.turn * 4 * wander(18.0)
    jitter = np.radians(config.shake) * rng.standard_normal((n, 3)) * [0.15, 0.1, 0.1]
    yaw = road.heading(z) + angle + jitter[:, 0]
    pitch = config.shake * (np.radians(0.3) * wander(9.0) - 0.02) + jitter[:, 1]
    roll = config.shake * np.radians(0.6) * wander(16.0) + jitter[:, 2]

    sy, cy, sp, cp = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch)
    ahead = np.stack([sy * cp, sp, cy * cp], -1)
    right = np.stack([cy, 0 * cy, -sy], -1)
    up = np.stack([-sy * sp, cp, -cy * sp], -1)
    sr, cr = np.sin(roll)[:, None], np.cos(roll)[:, None]
    axes = np.stack([cr * right + sr * up, sr * right - cr * up, ahead], axis=1)
    focal = config.focal * config.width
    intrinsics = np.array(
        [
            [focal, 0, (config.width - 1) / 2],
            [0, focal, (config.height - 1) / 2],
            [0, 0, 1.0],
        ]
    )
    return Camera(intrinsics, np.stack([x, y, z], -1), axes)


@dataclasses.dataclass(frozen=True)
class View:
    """All patches as one frame sees them; sky and ground are patches 0 and 1.

    Attributes:
      matrix: ``[patches, 3, 3]``: patch to pixel, see above.
      inverse: ``[patches, 3, 3]``: pixel to patch; zero where ``matrix`` has no inverse.
      bounds: int ``[patches, 4]``: x0, x1, y0, y1 of a rectangle of pixels around the patch,
        ends excluded; empty where it cannot be seen. Not defined for sky and ground.
      nearest: ``[patches]``: largest inverse depth of any corner.
      lit: ``[patches]``: light on the patch from sun and sky, 0 … 1.
    """

    matrix: np.ndarray
    inverse: np.ndarray
    bounds: np.ndarray
    nearest: np.ndarray
    lit: np.ndarray


def look(scene: Scene, camera: Camera, frame: int, height: int, width: int) -> View:
    """Sees ``scene`` at a frame of the camera, in a picture of ``height`` x ``width``."""
    axes, position = camera.axes[frame], camera.position[frame]
    u, v, origin = scene.patches_at(float(frame))
    seen = np.stack([u, v, origin - position], axis=-1)
    # Mounted patches are given in the camera's own x right, y up, z ahead.
    own = np.stack([u, v, origin], axis=-1) * np.array([1.0, -1.0, 1.0])[:, None]
    seen = np.where(scene.mounted[:, None, None], own, axes @ seen)
    ground = axes @ np.stack([[1.0, 0, 0], [0, 0, 1.0], -position], axis=-1)
    matrix = camera.intrinsics @ np.concatenate([axes[None], ground[None], seen])
    inverse, facing = _invert(matrix)

    normal = np.cross(u, v)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    # u runs right and v down, so u x v points into the wall seen from its front.
    lambert = np.maximum(-normal @ scene.sun, 0.0)
    flat = np.where(scene.solid, lambert, 0.6)
    lit = scene.ambient + (1 - scene.ambient) * flat
    flat_ground = scene.ambient + (1 - scene.ambient) * min(1.0, 0.4 + scene.sun[1])
    bounds, nearest = _bounds(matrix, height, width)
    hidden = np.concatenate([[False, False], scene.solid & (facing[2:] <= 0)])
    bounds[hidden | (inverse[:, 2] == 0).all(-1)] = 0
    return View(matrix, inverse, bounds, nearest, np.concatenate([[1.0, flat_ground], lit]))


def _invert(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses by cross products, zero for patches seen edge-on; and the determinants."""
    a, b, c = matrix[..., 0], matrix[..., 1], matrix[..., 2]
    rows = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-2)
    determinant = np.einsum("pi,pi->p", a, rows[:, 0])
    flat = np.abs(determinant) < 1e-9
    return np.where(
        flat[:, None, None], 0.0, rows / np.where(flat, 1.0, determinant)[:, None, None]
    ), determinant


def _bounds(matrix: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """``View.bounds`` and ``View.nearest``, of what lies before the near plane."""
    corners = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], np.float64)
    points = np.swapaxes(matrix @ corners, 1, 2)
    following = np.roll(points, -1, axis=1)
    z, z_next = points[..., 2], following[..., 2]
    crosses = (z - _NEAR) * (z_next - _NEAR) < 0
    share = np.where(crosses, (_NEAR - z) / np.where(crosses, z_next - z, 1.0), 0.0)
    cut = points + share[..., None] * (following - points)
    both = np.concatenate([points, cut], axis=1)
    valid = np.concatenate([z >= _NEAR, crosses], axis=1)
    depth = np.where(valid, both[..., 2], 1.0)
    bounds = np.zeros((len(matrix), 4), np.int64)
    for axis, size in ((0, width), (1, height)):
        pixel = both[..., axis] / depth
        low = np.where(valid, pixel, np.inf).min(axis=1)
        high = np.where(valid, pixel, -np.inf).max(axis=1)
        bounds[:, 2 * axis] = np.clip(np.floor(low), 0, size)
        bounds[:, 2 * axis + 1] = np.clip(np.ceil(high) + 1, 0, size)
    bounds[~valid.any(axis=1)] = 0
    nearest = np.where(valid, 1.0 / depth, 0.0).max(axis=1)
    return bounds, nearest


def displacement(
    here: View, there: View, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the surface seen at each pixel of one frame stands in another.

    Args:
      here: view of the one frame.
      there: view of the other.
      ids: int ``[H, W]``, patch at each pixel centre of ``here``.

    Returns:
      x and y in the other frame, float64 ``[H, W]``, NaN where the point is not before the
      camera there; and its depth there relative to here.
    """
    h, w = ids.shape
    between = (there.matrix @ here.inverse).reshape(-1, 9)
    x, y = np.arange(w, dtype=np.float64), np.arange(h, dtype=np.float64)[:, None]
    m = between[ids]
    across, down, depth = (
        m[..., 3 * k] * x + m[..., 3 * k + 1] * y + m[..., 3 * k + 2] for k in range(3)
    )
    depth = np.where(depth > 1e-9, depth, np.nan)
    return across / depth, down / depth, depth
