"""The camera: where in the still every pixel of every frame of a clip comes from."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.simulation.random_fields import bending_field, random_progress, smooth_field


class Camera:
    """Backward maps from each frame of the clip into the still.

    Pans, or drives towards or away from a point, with depths that vary smoothly over the picture.

    Attributes:
      steps: frames after the first.
    """

    def __init__(
        self, rng: np.random.Generator, h: int, w: int, speed: float, options: SimulationOptions
    ):
        """Draws the motion of a clip.

        Args:
          rng: source of every random choice.
          h: rows of the still.
          w: columns of the still.
          speed: 80th percentile of what pixels move per frame, in pixels.
          options: ``steps`` and ``bend`` are read.
        """
        y, x = np.mgrid[:h, :w].astype(np.float32)
        self.grid = np.stack([x, y], -1)
        self.steps = options.steps
        angle = rng.uniform(0, 2 * np.pi)
        # Cameras pan and drive more than they climb.
        pan = np.array([np.cos(angle), 0.35 * np.sin(angle)])
        drives = rng.uniform() < 0.5
        zoom = rng.choice([-1, 1]) * (1.0 if drives else rng.uniform(0.0, 0.3)) / (0.5 * w)
        self.pan = pan * (rng.uniform(0.0, 0.4) if drives else 1.0)
        self.zoom = zoom
        self.turn = rng.normal() * 0.15 / (0.5 * w)
        self.centre = np.array([w * rng.uniform(0.3, 0.7), h * rng.uniform(0.25, 0.65)])
        depth = smooth_field(rng, h, w, int(rng.integers(1, 6)))
        slope = rng.uniform(-0.3, 0.8) * np.linspace(-1, 1, h, dtype=np.float32)[:, None]
        self.depth = 1.0 + rng.uniform(0, 0.9) * (0.6 * depth + slope)
        if drives:
            # Down a street, what is far from the vanishing point is near to the camera.
            away = np.linalg.norm((self.grid - self.centre) / (0.5 * np.array([w, h])), axis=-1)
            self.depth = self.depth * (0.4 + rng.uniform(0.3, 1.0) * away)
        self.progress = np.array([0.0, 1.0], np.float32)
        self.shake = np.zeros((options.steps + 1, 2))
        self.bend = np.zeros((h, w, 2), np.float32)
        unit = np.percentile(np.linalg.norm(self.backward(1) - self.grid, axis=-1), 80)
        self.pan, self.zoom, self.turn = (v * speed / unit for v in (self.pan, zoom, self.turn))
        self.progress = random_progress(rng, options.steps, 0.08)
        self.shake = 0.1 * min(speed, 4.0) * rng.normal(size=(options.steps + 1, 2))
        amplitude = options.bend * rng.uniform() ** 2 * min(1.0, 0.2 + speed / 3.0)
        cells = int(rng.integers(2, 7))
        self.bend = amplitude * bending_field(rng, h, w, cells)

    def backward(self, t: int, nearness: float = 1.0) -> Float32[np.ndarray, "h w 2"]:
        """Position ``(x, y)`` in the still of every pixel of frame t.

        Args:
          t: which frame.
          nearness: factor of the motion; above 1 for what is nearer than its surroundings.
        """
        p = self.progress[t]
        scale, angle = np.exp(-self.zoom * p), self.turn * p
        rotation = scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32
        )
        offset = (self.grid - self.centre) @ rotation.T.astype(np.float32) + self.centre - self.grid
        offset = offset + (self.pan * p + (self.shake[t] if t else 0.0)).astype(np.float32)
        offset = np.float32(nearness) * offset * self.depth[..., None]
        offset = offset + self.bend * np.float32(p / self.steps)
        return (self.grid + offset).astype(np.float32)
