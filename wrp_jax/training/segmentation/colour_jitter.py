"""Colour jitter as the published recipes have it: four changes in random order.

Reference: ``ColorJitter`` of torchvision, as NVIDIA/semantic-segmentation uses it (0.25 for each).
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8


def colour_jitter(
    rng: np.random.Generator, image: UInt8[np.ndarray, "h w 3"], amount: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Changes brightness, contrast, saturation and hue.

    Args:
      rng: source of the factors and of the order.
      image: RGB.
      amount: factors are drawn from 1 ± amount; the hue turns by up to this share of the circle.
    """
    factors = rng.uniform(1.0 - amount, 1.0 + amount, 3)
    turn = rng.uniform(-amount, amount)
    for change in rng.permutation(4):
        if change == 3:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
            hsv[..., 0] += np.uint8(round(turn * 256) % 256)  # wraps around, as hue does
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
            continue
        factor = float(factors[change])
        if change == 0:
            other = np.zeros_like(image)
        else:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            if change == 1:
                grey = np.full_like(grey, round(float(grey.mean())))
            other = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, factor, other, 1.0 - factor, 0.0)
    return image
