"""The augmentation of RAFT's training: colour, erased rectangles, scale, stretch, flips, crop.

Reference: princeton-vl/RAFT, ``core/utils/augmentor.py`` (``FlowAugmentor``,
``SparseFlowAugmentor``); the colour changes are torchvision's ``ColorJitter``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from wrp_jax.data.flow_sets.pairs import FlowPair


@dataclasses.dataclass(frozen=True)
class FlowAugmentation:
    """Options; the defaults are those for dense flow.

    Attributes:
      crop: height and width of what comes out.
      scale: enlargement is ``2 ** U(scale)``.
      stretch: each axis alone by ``2 ** U(-stretch, stretch)``.
      spatial: probability of a change of scale.
      stretching: probability of a stretch, where the scale changes.
      flips: probabilities of mirroring left and right, and up and down.
      jitter: brightness, contrast, saturation (factors ``1 ± value``), hue (turns).
      asymmetric: probability of another colour change for each picture.
      erase: probability that rectangles of 50 to 100 pixels of the second picture are wiped out.
      sparse: flow known at single pixels: it is moved to the nearest pixel rather than
        interpolated, and crops may favour the picture's lower part (KITTI).
    """

    crop: tuple[int, int]
    scale: tuple[float, float] = (-0.2, 0.5)
    stretch: float = 0.2
    spatial: float = 0.8
    stretching: float = 0.8
    flips: tuple[float, float] = (0.5, 0.1)
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.5 / np.pi)
    asymmetric: float = 0.2
    erase: float = 0.5
    sparse: bool = False


def augment(rng: np.random.Generator, pair: FlowPair, options: FlowAugmentation) -> FlowPair:
    """One random view of a pair; smaller pictures are enlarged to the crop.

    Args:
      rng: source of randomness.
      pair: the pair.
      options: ranges.
    """
    first, second = recolour(rng, [pair.first, pair.second], options)
    if rng.random() < options.erase:
        second = erase_patches(rng, second)
    pair = pair._replace(first=first, second=second)
    pair = _rescaled(rng, pair, options)
    for axis, chance in ((1, options.flips[0]), (0, options.flips[1])):
        if rng.random() < chance:
            pair = mirrored(pair, axis)
    return _cropped(rng, pair, options)


def recolour(
    rng: np.random.Generator, images: Sequence[np.ndarray], options: FlowAugmentation
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The same colour change for all pictures, or another for each."""
    if rng.random() < options.asymmetric:
        return [jitter(rng, [image], options.jitter)[0] for image in images]
    return jitter(rng, images, options.jitter)


def jitter(
    rng: np.random.Generator,
    images: Sequence[np.ndarray],
    limits: tuple[float, float, float, float],
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Brightness, contrast, saturation and hue, in random order, alike for all pictures."""
    factors = [rng.uniform(max(0.0, 1 - limit), 1 + limit) for limit in limits[:3]]
    shift = rng.uniform(-limits[3], limits[3])
    # torchvision joins the pictures: contrast is about the mean of all of them.
    joined = np.concatenate(images, axis=0)
    for kind in rng.permutation(4):
        if kind == 0:
            joined = _blend(joined, np.float32(0), factors[0])
        elif kind == 1:
            mean = np.float32(cv2.cvtColor(joined, cv2.COLOR_RGB2GRAY).mean())
            joined = _blend(joined, mean, factors[1])
        elif kind == 2:
            joined = _blend(joined, cv2.cvtColor(joined, cv2.COLOR_RGB2GRAY)[..., None], factors[2])
        else:
            hsv = cv2.cvtColor(joined, cv2.COLOR_RGB2HSV_FULL)
            hsv[..., 0] += np.uint8(round(shift * 255) % 256)
            joined = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return np.split(joined, np.cumsum([len(image) for image in images])[:-1])


def _blend(image: np.ndarray, other: Any, factor: float) -> np.ndarray:
    mixed = np.float32(factor) * image + np.float32(1 - factor) * other
    return np.clip(mixed, 0, 255).astype(np.uint8)


def erase_patches(rng: np.random.Generator, image: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """Covers one or two rectangles with the mean colour: what is hidden must be guessed."""
    h, w, _ = image.shape
    image = image.copy()
    mean = image.reshape(-1, 3).mean(axis=0)
    for _ in range(int(rng.integers(1, 3))):
        x, y = int(rng.integers(0, w)), int(rng.integers(0, h))
        dx, dy = (int(rng.integers(50, 100)) for _ in range(2))
        image[y : y + dy, x : x + dx] = mean
    return image


def mirrored(pair: FlowPair, axis: int) -> FlowPair:
    """The pair seen in a mirror: left and right change places (axis 1), or up and down (0)."""
    pair = FlowPair(*(np.flip(field, axis) for field in pair))
    sign = np.array([-1, 1] if axis == 1 else [1, -1], np.float32)
    return pair._replace(flow=pair.flow * sign)


def rescaled(pair: FlowPair, size: tuple[int, int], *, sparse: bool) -> FlowPair:
    """The pair at another size (height, width), flow and all.

    Args:
      pair: the pair.
      size: new height and width.
      sparse: move each known vector to the nearest new pixel, instead of interpolating.
    """
    h, w = pair.valid.shape
    factor = np.array([size[1] / w, size[0] / h], np.float32)
    first, second = (_resize(image, size) for image in pair[:2])
    if sparse:
        return FlowPair(first, second, *_scattered(pair.flow, pair.valid, size, factor))
    valid = _resize(pair.valid.astype(np.float32), size) > 0.999
    flow = _resize(pair.flow, size) * factor
    return FlowPair(first, second, np.where(valid[..., None], flow, 0), valid)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def _scattered(
    flow: np.ndarray, valid: np.ndarray, size: tuple[int, int], factor: np.ndarray
) -> tuple[Float32[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
    y, x = np.nonzero(valid)
    vectors = flow[y, x] * factor
    column = np.rint((x + 0.5) * factor[0] - 0.5).astype(int)
    row = np.rint((y + 0.5) * factor[1] - 0.5).astype(int)
    kept = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    out, known = np.zeros((*size, 2), np.float32), np.zeros(size, bool)
    out[row[kept], column[kept]] = vectors[kept]
    known[row[kept], column[kept]] = True
    return out, known


def _rescaled(rng: np.random.Generator, pair: FlowPair, options: FlowAugmentation) -> FlowPair:
    h, w = pair.valid.shape
    margin = 1 if options.sparse else 8
    least = [
        (c + margin) / n if c < n else c / n for c, n in zip(options.crop, (h, w), strict=True)
    ]
    wanted = np.full(2, 2 ** rng.uniform(*options.scale))
    if rng.random() < options.stretching:
        wanted = wanted * 2 ** rng.uniform(-options.stretch, options.stretch, 2)
    if rng.random() >= options.spatial:
        wanted = np.ones(2)
    factor = np.maximum(wanted, max(least))
    if (factor == 1).all():
        return pair
    ch, cw = options.crop
    size = max(ch, round(h * factor[0])), max(cw, round(w * factor[1]))
    return rescaled(pair, size, sparse=options.sparse)


def _cropped(rng: np.random.Generator, pair: FlowPair, options: FlowAugmentation) -> FlowPair:
    (h, w), (ch, cw) = pair.valid.shape, options.crop
    # Sparse flow is known in the lower part: rows are drawn beyond the end, and set back to it.
    below, beside = (20, 50) if options.sparse else (0, 0)
    y = int(np.clip(rng.integers(0, h - ch + below + 1), 0, h - ch))
    x = int(np.clip(rng.integers(-beside, w - cw + beside + 1), 0, w - cw))
    return FlowPair(*(np.ascontiguousarray(a[y : y + ch, x : x + cw]) for a in pair))
