"""Light, optics, sensor and compression."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from wrp_jax.simulation.options import SimulationOptions


def take_pictures(
    rng: np.random.Generator,
    scenes: Sequence[Float32[np.ndarray, "h w 3"]],
    options: SimulationOptions,
) -> UInt8[np.ndarray, "n h w 3"]:
    """Light that drifts, blurring optics, sensor noise and JPEG compression over a clip.

    Args:
      rng: source of every random choice.
      scenes: what stands before the camera at each frame, RGB, 0 … 255.
      options: ``gain``, ``noise``, ``blur`` and ``quality`` are read.

    Returns:
      The frames that the camera gives.
    """
    n = len(scenes)
    gain = rng.uniform(-1, 1) * options.gain + rng.uniform(-0.4, 0.4, 3) * options.gain
    noise, quality = options.noise * rng.uniform(), int(rng.integers(*options.quality))
    blur = options.blur * rng.uniform(0, 1, n) * (rng.uniform() < 0.7)
    flicker = 0.1 * options.gain * rng.normal(size=n)
    frames = []
    for t, scene in enumerate(scenes):
        image = scene * (1.0 + gain * t / max(n - 1, 1) + flicker[t])
        if blur[t] > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), float(blur[t]))
        image = image + rng.normal(size=image.shape).astype(np.float32) * noise
        image = np.clip(image, 0, 255).astype(np.uint8)
        code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        frames.append(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1])
    return np.stack(frames)
