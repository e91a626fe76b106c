"""Random crops of labelled frames for training a segmentation network; NumPy and OpenCV only.

One affine map per crop does scaling, stretching, rotation, mirroring and cutting at once, so
that image and label are sampled once and stay aligned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from wrp_jax.training.segmentation.colour_jitter import colour_jitter

IGNORE = 255
"""Label of a pixel that the loss leaves out."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How much a crop may differ from its frame.

    Attributes:
      scale: range of the enlargement, drawn log-uniformly.
      stretch: the sides' ratio changes by a factor up to ``exp(±stretch)``.
      rotation: degrees, either way.
      flip: probability of mirroring left and right.
      brightness: added to values 0 … 1, either way.
      contrast, saturation: factor up to ``exp(±value)``.
      channel: gain of each colour channel up to ``exp(±value)``.
      gamma: exponent up to ``exp(±value)``.
      blur: probability of a Gaussian blur with a deviation up to 1.2 pixels.
      noise: largest standard deviation of added noise, values 0 … 1.
      jitter: amount of `colour_jitter`; 0 for none.
      centroid_anywhere: a crop around a centroid has it at any of its pixels, each as likely; else
        up to 0.3 of a side from the middle, before enlargement, which may leave it outside.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    stretch: float = 0.1
    rotation: float = 5.0
    flip: float = 0.5
    brightness: float = 0.12
    contrast: float = 0.3
    saturation: float = 0.4
    channel: float = 0.08
    gamma: float = 0.25
    blur: float = 0.15
    noise: float = 0.02
    jitter: float = 0.0
    centroid_anywhere: bool = False


PUBLISHED = Augmentation(
    stretch=0.0, rotation=0.0, brightness=0.0, contrast=0.0, saturation=0.0, channel=0.0,
    gamma=0.0, blur=0.0, noise=0.0, jitter=0.25, centroid_anywhere=True,
)  # fmt: skip
"""Scale, flip and colour jitter, and crops that show their centroid, as in Tao et al. 2020.

They draw the scale uniformly, resize images bicubically (here: bilinearly) and fill what lies
outside of a small frame with black (here: with its mirror image; the label is `IGNORE` in both).
"""


def affine(
    rng: np.random.Generator,
    crop: tuple[int, int],
    centre: tuple[float, float],
    options: Augmentation,
) -> np.ndarray:
    """Draws the map from coordinates (x, y, 1) of the crop to coordinates of the frame.

    Args:
      rng: source of randomness.
      crop: height and width of the crop.
      centre: (x, y) in the frame that comes to lie in the middle of the crop.
      options: ranges.

    Returns:
      float64 ``[2, 3]``.
    """
    scale = np.exp(rng.uniform(*np.log(options.scale)))
    ratio = np.exp(rng.uniform(-options.stretch, options.stretch) / 2)
    angle = np.deg2rad(rng.uniform(-options.rotation, options.rotation))
    mirror = -1.0 if rng.random() < options.flip else 1.0
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.diag([mirror * ratio / scale, 1.0 / (ratio * scale)])
    middle = np.array([(crop[1] - 1) / 2, (crop[0] - 1) / 2])
    return np.concatenate([linear, (np.asarray(centre) - linear @ middle)[:, None]], axis=1)


def affine_crop(
    image: UInt8[np.ndarray, "h w 3"],
    label: UInt8[np.ndarray, "h w"],
    matrix: np.ndarray,
    crop: tuple[int, int],
) -> tuple[UInt8[np.ndarray, "ch cw 3"], UInt8[np.ndarray, "ch cw"]]:
    """Samples a frame and its label by an `affine` map.

    Outside the frame the image is mirrored and the label is `IGNORE`. Where the frame is made
    smaller it is smoothed first, so that no pixel is skipped.
    """
    shrink = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink > 1.3:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 * shrink)
    size = (crop[1], crop[0])
    flags = cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR | flags, borderMode=cv2.BORDER_REFLECT_101
    )
    ids = cv2.warpAffine(
        label,
        matrix,
        size,
        flags=cv2.INTER_NEAREST | flags,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(IGNORE,),
    )
    return out, ids


def recolour(
    rng: np.random.Generator, image: UInt8[np.ndarray, "h w 3"], options: Augmentation
) -> UInt8[np.ndarray, "h w 3"]:
    """Changes light, colour, sharpness and noise of a picture."""

    def factor(limit: float, count: int = 1) -> np.ndarray:
        return np.exp(rng.uniform(-limit, limit, count)).astype(np.float32)

    # Gain, contrast and gamma act on each channel alone: one table for all of them.
    values = np.arange(256, dtype=np.float32)[:, None] / 255.0
    values = values ** factor(options.gamma)
    values = (values - 0.5) * factor(options.contrast) + 0.5
    values = values * factor(options.channel, 3)
    values = values + rng.uniform(-options.brightness, options.brightness)
    table = np.clip(values * 255.0 + 0.5, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[None])
    saturation = float(factor(options.saturation)[0])
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    image = cv2.addWeighted(image, saturation, grey, 1.0 - saturation, 0.0)
    if options.jitter:
        image = colour_jitter(rng, image, options.jitter)
    if rng.random() < options.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    sigma = rng.uniform(0, options.noise) * 255.0
    if sigma > 0.5:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31 - 1)))
        cv2.randn(noise, np.zeros(3), np.full(3, sigma))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    return image


class CropSampler:
    """Draws augmented crops from labelled frames.

    A share of the crops is centred near a pixel of a class drawn uniformly, or near one of its
    centroids, so that rare classes are seen as often as common ones; the rest is centred anywhere.

    Attributes:
      crop: height and width of what is drawn.
      expected_counts: float64 ``[num_classes]``, pixels of each class per frame drawn.
    """

    def __init__(
        self,
        frames: Sequence[tuple[np.ndarray, np.ndarray]],
        *,
        counts: np.ndarray,
        crop: tuple[int, int],
        weights: np.ndarray | None = None,
        scales: np.ndarray | None = None,
        class_share: float = 0.5,
        centroids: Sequence[np.ndarray] | None = None,
        around: np.ndarray | None = None,
        augmentation: Augmentation | None = None,
    ):
        """Indexes the classes of the frames.

        Args:
          frames: image uint8 ``[h, w, 3]`` and label uint8 ``[h, w]`` (class indices and
            `IGNORE`) by number; asked for again at every use.
          counts: pixels of each class in each frame, ``[frames, num_classes]``.
          crop: height and width of the crops.
          weights: relative frequency of each frame, ``[frames]``; None for uniform.
          scales: enlargement at which each frame will be segmented, ``[frames]``; multiplies
            that of the augmentation. None for ones.
          class_share: share of the crops that are centred on a class drawn uniformly.
          centroids: of `centroid_table`: these crops are centred on one of the class's, each as
            likely as its frame; None for any pixel of the class in a frame that shows it.
          around: bool ``[frames, num_classes]``, the classes of each frame that crops are centred
            on; a frame that does not have them all is drawn for those crops alone. None for all.
          augmentation: ranges; None for the defaults.
        """
        self.crop = crop
        likely = np.ones(len(counts)) if weights is None else np.asarray(weights, np.float64)
        around = np.ones(counts.shape, bool) if around is None else around
        self._frames = frames
        self._weights = np.where(around.all(1), likely, 0.0)
        self._weights /= self._weights.sum()
        self._scales = np.ones(len(counts)) if scales is None else scales
        self._class_share = class_share
        self._centroids = centroids
        self._options = augmentation or Augmentation()
        self.expected_counts = self._weights @ counts
        # Frames of which a class covers a handful of stray pixels do not stand for it.
        counts = np.where(around, counts, 0)
        shows = counts >= np.minimum(16, counts.max(0))
        likely = (likely / likely.sum())[:, None]
        self._around = np.where(around, likely, 0.0)
        likely = np.where(shows & (counts > 0), likely, 0.0)
        self._classes = np.flatnonzero(likely.sum(0))
        self._weights_of_class = likely / np.maximum(likely.sum(0), 1e-300)

    def __call__(
        self, rng: np.random.Generator
    ) -> tuple[UInt8[np.ndarray, "ch cw 3"], UInt8[np.ndarray, "ch cw"]]:
        """Draws one crop and its label (`IGNORE` where there is none)."""
        offset = np.zeros(2)  # of the middle of the crop, in its own pixels (x, y)
        if rng.random() < self._class_share and self._classes.size:
            index, y, x = self._place_of_class(rng, int(rng.choice(self._classes)))
            image, label = self._frames[index]
            # Not always dead centre: a class must not be told by its place in the crop.
            if self._options.centroid_anywhere and self._centroids is not None:
                offset = rng.uniform(-0.5, 0.5, 2) * (self.crop[1] - 1, self.crop[0] - 1)
            else:
                x += rng.uniform(-0.3, 0.3) * self.crop[1] / self._scales[index]
                y += rng.uniform(-0.3, 0.3) * self.crop[0] / self._scales[index]
        else:
            index = int(rng.choice(len(self._weights), p=self._weights))
            image, label = self._frames[index]
            y, x = rng.uniform(0, label.shape[0] - 1), rng.uniform(0, label.shape[1] - 1)
        low, high = self._options.scale
        scale = low * self._scales[index], high * self._scales[index]
        options = dataclasses.replace(self._options, scale=scale)
        matrix = affine(rng, self.crop, (x, y), options)
        matrix[:, 2] += matrix[:, :2] @ offset
        matrix[:, 2] += _inward(matrix, self.crop, (image.shape[0], image.shape[1]))
        image, label = affine_crop(image, label, matrix, self.crop)
        return recolour(rng, image, self._options), label

    def _place_of_class(self, rng: np.random.Generator, wanted: int) -> tuple[int, float, float]:
        """Frame, row and column."""
        if self._centroids is not None:
            centres = self._centroids[wanted]
            weights = self._around[centres[:, 0].astype(int), wanted]
            index, y, x = centres[rng.choice(len(centres), p=weights / weights.sum())]
            return int(index), float(y), float(x)
        index = int(rng.choice(len(self._weights), p=self._weights_of_class[:, wanted]))
        label = self._frames[index][1]
        where = np.flatnonzero(label.ravel() == wanted)
        y, x = divmod(int(rng.choice(where)), label.shape[1])
        return index, float(y), float(x)


def _inward(matrix: np.ndarray, crop: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Shift (x, y) that brings a crop inside its frame as far as it fits."""
    half = np.abs(matrix[:, :2]) @ np.array([crop[1] / 2, crop[0] / 2])
    middle = matrix[:, :2] @ np.array([crop[1] / 2, crop[0] / 2]) + matrix[:, 2]
    limit = np.array([size[1], size[0]], np.float64)
    low, high = np.minimum(half, limit / 2), np.maximum(limit - half, limit / 2)
    return np.clip(middle, low, high) - middle
