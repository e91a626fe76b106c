"""A scene: flat patches on rigid objects, and where they are at a time.

Objects live in road coordinates (see ``road.py``) and move through them at constant speed, so
that a car follows the bends. Patches live in the coordinates of their object: x right, y up,
z ahead, metres. A patch is the parallelogram ``origin + s*u + t*v`` with ``0 <= s, t < 1``; its
texture has s to the right and t down.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from wrp_jax.data.synthetic.road import Road
from wrp_jax.data.synthetic.town import Town

WORLD_PATCHES = 2
"""Patch 0 is the sky, patch 1 the ground; the first patch of a scene is number 2."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything that is in one clip, but the camera.

    Attributes:
      town, road: the looks and the ground.
      place: ``[objects, 3]``: z, lateral, yaw against the road at frame 0.
      velocity: ``[objects, 2]``: of z and lateral, metres per frame.
      owner: object of each patch.
      mounted: whether the patch moves with the camera; its coordinates are then the camera's.
      origin, u, v: ``[patches, 3]``.
      pivot: ``[patches, 3]``: what the patch swings about, in its object's x-y plane.
      swing: ``[patches, 3]``: amplitude in radians, radians per frame, phase.
      texture: index into the town's atlas.
      repeat: ``[patches, 2]``: how often the texture repeats along u and v.
      tint: ``[patches, 3]``: factor on the texture's colour.
      label: class index.
      solid: seen from the side where u runs right and v down only: faces of boxes.
      decal: 0 for surfaces; else how much light a shadow on the ground takes away, 0 … 1.
      sun: direction to the sun, unit vector.
      ambient: share of the light that comes from everywhere.
      light: ``[3]``: colour of the light.
      haze: ``[4]``: colour 0 … 255 and density per metre.
      sky: texture index.
    """

    town: Town
    road: Road
    place: np.ndarray
    velocity: np.ndarray
    owner: np.ndarray
    mounted: np.ndarray
    origin: np.ndarray
    u: np.ndarray
    v: np.ndarray
    pivot: np.ndarray
    swing: np.ndarray
    texture: np.ndarray
    repeat: np.ndarray
    tint: np.ndarray
    label: np.ndarray
    solid: np.ndarray
    decal: np.ndarray
    sun: np.ndarray
    ambient: float
    light: np.ndarray
    haze: np.ndarray
    sky: int

    def frames_at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Poses of the objects.

        Returns:
          Axes ``[objects, 3, 3]`` (columns: the object's x, y, z in the world) and positions
          ``[objects, 3]``.
        """
        z = self.place[:, 0] + time * self.velocity[:, 0]
        lateral = self.place[:, 1] + time * self.velocity[:, 1]
        yaw = self.place[:, 2] + self.road.heading(z)
        zero, one = np.zeros_like(z), np.ones_like(z)
        axes = np.stack(
            [np.cos(yaw), zero, np.sin(yaw), zero, one, zero, -np.sin(yaw), zero, np.cos(yaw)], -1
        ).reshape(-1, 3, 3)
        return axes, np.stack([self.road.centre(z) + lateral, zero, z], -1)

    def patches_at(self, time: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``u``, ``v`` and ``origin`` of every patch at a time, in the world, ``[patches, 3]``."""
        angle = self.swing[:, 0] * np.sin(self.swing[:, 1] * time + self.swing[:, 2])
        turn = np.zeros((len(angle), 3, 3))
        turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
        turn[:, 1, 0], turn[:, 0, 1], turn[:, 2, 2] = np.sin(angle), -np.sin(angle), 1.0
        axes, position = self.frames_at(time)
        axes = np.where(self.mounted[:, None, None], np.eye(3), axes[self.owner])
        position = np.where(self.mounted[:, None], 0.0, position[self.owner])

        def to_world(vectors: np.ndarray) -> np.ndarray:
            return np.einsum("pij,pj->pi", axes, vectors)

        u = np.einsum("pij,pj->pi", turn, self.u)
        v = np.einsum("pij,pj->pi", turn, self.v)
        arm = np.einsum("pij,pj->pi", turn, self.origin - self.pivot) + self.pivot
        return to_world(u), to_world(v), to_world(arm) + position


class SceneBuilder:
    """Collects objects and patches."""

    def __init__(self, town: Town, road: Road, rng: np.random.Generator, moving: float):
        self.town, self.road, self.rng, self.moving = town, road, rng, moving
        self._objects: list[tuple[float, ...]] = []
        self._patches: list[dict] = []

    def pick(self, kind: str) -> int:
        """A texture of a kind."""
        return int(self.rng.choice(self.town.kinds[kind]))

    def place(
        self, z: float, lateral: float, yaw: float = 0.0, dz: float = 0.0, dlateral: float = 0.0
    ) -> None:
        """Starts an object; the patches that follow belong to it."""
        self._objects.append((z, lateral, yaw, dz * self.moving, dlateral * self.moving))

    def quad(
        self,
        origin,
        u,
        v,
        texture: int,
        label: int,
        *,
        tint=(1.0, 1.0, 1.0),
        repeat=(1.0, 1.0),
        pivot=None,
        swing=(0.0, 0.0, 0.0),
        solid: bool = False,
        mounted: bool = False,
        decal: float = 0.0,
    ) -> None:
        """Adds a patch to the object placed last; arguments as in ``Scene``."""
        self._patches.append(
            dict(
                owner=len(self._objects) - 1,
                origin=origin,
                u=u,
                v=v,
                texture=texture,
                label=label,
                tint=tint,
                repeat=repeat,
                pivot=origin if pivot is None else pivot,
                swing=(swing[0] * self.moving, swing[1], swing[2]),
                solid=solid,
                mounted=mounted,
                decal=decal,
            )
        )

    def upright(self, x, y, z, width: float, height: float, *args, **kwargs):
        """Adds a patch that faces -z, with the middle of its foot at ``(x, y, z)``."""
        self.quad((x - width / 2, y + height, z), (width, 0, 0), (0, -height, 0), *args, **kwargs)

    def box(self, centre, size, faces: dict, label: int, **kwargs) -> None:
        """Adds faces of a box.

        Args:
          centre: x, y, z of the middle of its foot.
          size: along x, y, z.
          faces: texture by face: ``near`` (-z), ``far`` (+z), ``left`` (-x), ``right`` (+x),
            ``top``; or a pair of texture and repeat.
          label: class index.
          **kwargs: as for ``quad``.
        """
        (x, y, z), (w, h, d) = centre, size
        x0, x1, y1, z0, z1 = x - w / 2, x + w / 2, y + h, z - d / 2, z + d / 2
        corners = {
            "near": ((x0, y1, z0), (w, 0, 0), (0, -h, 0)),
            "far": ((x1, y1, z1), (-w, 0, 0), (0, -h, 0)),
            "left": ((x0, y1, z1), (0, 0, -d), (0, -h, 0)),
            "right": ((x1, y1, z0), (0, 0, d), (0, -h, 0)),
            "top": ((x0, y1, z1), (w, 0, 0), (0, 0, -d)),
        }
        for face, texture in faces.items():
            texture, repeat = texture if isinstance(texture, tuple) else (texture, (1.0, 1.0))
            self.quad(*corners[face], texture, label, repeat=repeat, solid=True, **kwargs)

    def shadow(self, width: float, depth: float, strength: float = 0.5, x=0.0, z=0.0) -> None:
        """Darkens the ground under the object."""
        self.quad(
            (x - width / 2, 0, z + depth / 2), (width, 0, 0), (0, 0, -depth), 0, 0, decal=strength
        )

    def build(self, *, sun, ambient: float, light, haze, sky: int) -> Scene:
        """The finished scene; the light as in ``Scene``."""
        objects = np.array(self._objects, np.float64).reshape(-1, 5)
        columns = {
            key: np.array([patch[key] for patch in self._patches]) for key in self._patches[0]
        }
        for key in ("origin", "u", "v", "pivot", "swing", "repeat", "tint", "decal"):
            columns[key] = columns[key].astype(np.float64)
        return Scene(
            town=self.town,
            road=self.road,
            place=objects[:, :3],
            velocity=objects[:, 3:],
            sun=np.asarray(sun, np.float64),
            ambient=ambient,
            light=np.asarray(light, np.float64),
            haze=np.asarray(haze, np.float64),
            sky=sky,
            **columns,
        )
