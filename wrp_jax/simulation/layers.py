"""Regions of the still that come off their background and move apart from it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int16

from wrp_jax.simulation.camera import Camera
from wrp_jax.simulation.labelled_image import LabelledImage, remap
from wrp_jax.simulation.random_fields import bending_field, random_progress


class Layer:
    """A region of the still that moves apart from its background.

    It follows the camera, faster or slower by its depth, and may walk and bend besides.

    Attributes:
      nearness: factor of the camera's motion; above 1 for what is nearer than its surroundings.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        camera: Camera,
        mask: Bool[np.ndarray, "h w"],
        speed: float,
    ):
        """Draws the motion of a region.

        Args:
          rng: source of every random choice.
          camera: of the clip.
          mask: the region.
          speed: typical motion in the clip, pixels per frame.
        """
        h, w = mask.shape
        self.mask = mask.astype(np.float32)
        self.camera = camera
        self.nearness = np.exp(0.4 * rng.normal() + 0.1)
        walks = rng.uniform() < 0.35
        angle, pace = rng.uniform(0, 2 * np.pi), (0.5 + 0.6 * speed) * rng.uniform() * walks
        self.velocity = pace * np.array([np.cos(angle), 0.4 * np.sin(angle)])
        amplitude = rng.uniform(0, 0.5) * min(camera.steps, 3.0 + speed) * (rng.uniform() < 0.7)
        cells = int(rng.integers(4, 12))
        self.bend = amplitude * bending_field(rng, h, w, cells)
        self.progress = random_progress(rng, camera.steps, 0.08)

    def backward(self, t: int) -> Float32[np.ndarray, "h w 2"]:
        """Position ``(x, y)`` in the still of every pixel of frame t that shows this layer."""
        p = self.progress[t]
        bent = self.bend * np.float32(np.sin(p * 3.0 / self.camera.steps))
        position = self.camera.backward(t, self.nearness)
        return (position - self.velocity * p + bent).astype(np.float32)

    def paste(
        self,
        image: Float32[np.ndarray, "h w 3"],
        label: Int16[np.ndarray, "h w"],
        still: LabelledImage,
        t: int,
    ) -> None:
        """Draws itself onto frame t in place.

        Args:
          image: of frame t, 0 … 255; is changed.
          label: of frame t; is changed.
          still: what the layer is a region of.
          t: which frame.
        """
        position = self.backward(t)
        mask = remap(self.mask, position, None, cv2.INTER_LINEAR)
        rows, columns = np.flatnonzero(mask.max(1) > 0), np.flatnonzero(mask.max(0) > 0)
        if not len(rows):
            return
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        over, truth = still.sample(position[box])
        below = image[box]
        below[:] = below + (over - below) * mask[box][..., None]
        label[box] = np.where(mask[box] > 0.5, truth, label[box])


def remove_region(still: LabelledImage, mask: Bool[np.ndarray, "h w"]) -> LabelledImage:
    """Fills a region with what surrounds it, mirrored at its border; label and all."""
    h, w = mask.shape
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    _, nearest = cv2.distanceTransformWithLabels(
        grown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    ys, xs = np.nonzero(grown == 0)
    if not len(ys):
        return still
    nearest = np.asarray(nearest, np.int64)
    index = np.zeros(nearest.max() + 1, np.int64)
    index[nearest[ys, xs]] = np.arange(len(ys))
    y, x = np.nonzero(grown)
    near = index[nearest[y, x]]
    far_y = np.clip(2 * ys[near] - y, 0, h - 1)
    far_x = np.clip(2 * xs[near] - x, 0, w - 1)
    inside = grown[far_y, far_x] > 0  # mirrored into the region again: take the border itself
    far_y, far_x = np.where(inside, ys[near], far_y), np.where(inside, xs[near], far_x)
    image, label = still.image.copy(), still.label.copy()
    image[y, x], label[y, x] = still.image[far_y, far_x], still.label[far_y, far_x]
    return LabelledImage(image, label)


def draw_layer_masks(
    rng: np.random.Generator, label: Int16[np.ndarray, "h w"], count: int
) -> list[Bool[np.ndarray, "h w"]]:
    """Draws connected regions of one class among those that are neither specks nor scenery.

    Args:
      rng: source of every random choice.
      label: class indices.
      count: at most so many.
    """
    found = []
    for index in np.unique(label):
        _, regions, stats, _ = cv2.connectedComponentsWithStats((label == index).astype(np.uint8))
        area = stats[1:, cv2.CC_STAT_AREA]
        for region in np.flatnonzero((area > 0.0003 * label.size) & (area < 0.25 * label.size)):
            found.append((regions, int(region) + 1))
    order = rng.permutation(len(found))[:count]
    return [found[i][0] == found[i][1] for i in order]
