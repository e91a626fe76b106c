"""Cut-outs of labelled frames, pasted onto a clip with motions of their own."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Int16, UInt8

from wrp_jax.simulation.random_fields import random_progress


@dataclasses.dataclass(frozen=True)
class Cutout:
    """One connected region of one class, cut out of a frame by its bounding box.

    Attributes:
      image: RGB.
      mask: the region.
      label: its class index.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]
    label: int


def extract_cutouts(
    image: UInt8[np.ndarray, "h w 3"],
    label: Int[np.ndarray, "h w"],
    *,
    smallest: float = 0.0008,
    largest: float = 0.15,
) -> list[Cutout]:
    """Connected regions of one class.

    Args:
      image: RGB.
      label: class indices, -1 where unknown: such regions are cut out, too.
      smallest: share of the picture that a region covers at least.
      largest: share of the picture that a region covers at most.
    """
    cutouts = []
    area = label.size
    for index in np.unique(label):
        _, regions, stats, _ = cv2.connectedComponentsWithStats((label == index).astype(np.uint8))
        for region in range(1, len(stats)):
            x, y, w, h, count = (int(v) for v in stats[region])
            if not smallest * area <= count <= largest * area:
                continue
            mask = regions[y : y + h, x : x + w] == region
            cutouts.append(Cutout(image[y : y + h, x : x + w].copy(), mask, int(index)))
    return cutouts


class PastedObject:
    """A cut-out with a motion of its own: it moves, grows and turns, enters and leaves."""

    def __init__(
        self, rng: np.random.Generator, cutout: Cutout, h: int, w: int, speed: float, steps: int
    ):
        """Draws size, colour, path and growth.

        Args:
          rng: source of every random choice.
          cutout: what it looks like.
          h: rows of the clip.
          w: columns of the clip.
          speed: typical motion in the clip, pixels per frame.
          steps: frames after the first.
        """
        size = np.exp(rng.uniform(np.log(0.6), np.log(1.6)))
        height, width = (max(3, round(size * n)) for n in cutout.mask.shape)
        image, mask = cutout.image, cutout.mask.astype(np.float32)
        if rng.uniform() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        self.image = cv2.resize(np.ascontiguousarray(image), (width, height)).astype(np.float32)
        self.image = np.clip(self.image * rng.uniform(0.8, 1.2), 0, 255)
        self.mask = cv2.resize(np.ascontiguousarray(mask), (width, height))
        self.label = cutout.label
        angle, pace = rng.uniform(0, 2 * np.pi), speed * rng.uniform(0.2, 2.0) + rng.uniform(0, 1)
        velocity = pace * np.array([np.cos(angle), 0.4 * np.sin(angle)])
        progress = random_progress(rng, steps, 0.1)
        # It stands somewhere in the picture at a random time, so it may enter or leave.
        meeting = rng.integers(0, steps + 1)
        place = np.array([rng.uniform(0, w), rng.uniform(0.1, 1.0) * h])
        self.path = place + (progress - progress[meeting])[:, None] * velocity
        self.growth = np.exp(rng.normal() * 0.01 * (progress - progress[meeting]))
        self.spin = rng.normal() * 0.01 * (progress - progress[meeting])

    def paste(
        self, image: Float32[np.ndarray, "h w 3"], label: Int16[np.ndarray, "h w"], t: int
    ) -> None:
        """Draws itself onto frame t in place.

        Args:
          image: of frame t, 0 … 255; is changed.
          label: of frame t; is changed.
          t: which frame.
        """
        h, w = label.shape
        height, width = self.mask.shape
        c, s = self.growth[t] * np.cos(self.spin[t]), self.growth[t] * np.sin(self.spin[t])
        forward = np.array([[c, -s, 0.0], [s, c, 0.0]], np.float32)
        forward[:, 2] = self.path[t] - forward[:, :2] @ np.array([width / 2, height / 2])
        mask = cv2.warpAffine(self.mask, forward, (w, h))
        if mask.max() < 0.5:
            return
        over = cv2.warpAffine(self.image, forward, (w, h), borderMode=cv2.BORDER_REPLICATE)
        alpha = np.clip(2.0 * mask - 0.5, 0, 1)[..., None]
        image[:] = image * (1 - alpha) + over * alpha
        label[mask > 0.5] = self.label
