"""Clips made from single labelled frames: exact labels in every frame, real texture.

A still becomes ``steps + 1`` frames. The camera pans, zooms and turns over it, with parallax and
smooth bending. The still's own regions come off their background, each at a depth of its own,
so that motion breaks at label boundaries, as it does in the world; what they uncover is filled by
mirroring their surroundings. Pieces of labelled frames are pasted on top with motions of their
own, so that they occlude, enter and leave. The first label is drawn as a second annotator would
have drawn it; light drifts, the sensor adds noise, optics blur, JPEG compresses. What the camera
uncovers beyond the border is the rim of another labelled frame.
Host side, numpy and OpenCV; every draw comes from the generator that is passed in.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int, UInt8

_remap: Any = cv2.remap  # OpenCV's type stubs refuse what its documentation allows: map2=None


@dataclasses.dataclass(frozen=True)
class Simulation:
    """How strongly things happen.

    Attributes:
      steps: frames after the first.
      size: largest height and width; larger stills are cropped, not scaled.
      objects: at most this many pasted pieces.
      layers: at most this many regions of the still that move apart from their background.
      jitter: largest amplitude of the difference between two annotations' boundaries, pixels.
      bend: amplitude of the bending at the last step, pixels.
      gain: largest relative change of brightness and of a colour channel at the last step.
      noise: largest standard deviation of the sensor noise, grey levels of 255.
      blur: largest standard deviation of the optical blur, pixels.
      quality: range of the JPEG quality; the still's own compression is already in it.
    """

    steps: int = 10
    size: tuple[int, int] = (360, 480)
    objects: int = 5
    layers: int = 14
    jitter: float = 1.5
    bend: float = 6.0
    gain: float = 0.12
    noise: float = 3.0
    blur: float = 0.8
    quality: tuple[int, int] = (70, 98)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A cut-out: one connected region of one class.

    Attributes:
      image: uint8 ``[h, w, 3]``.
      mask: bool ``[h, w]``.
      label: its class index.
    """

    image: np.ndarray
    mask: np.ndarray
    label: int


def cut_pieces(
    image: UInt8[np.ndarray, "h w 3"],
    label: Int[np.ndarray, "h w"],
    *,
    smallest: float = 0.0008,
    largest: float = 0.15,
) -> list[Piece]:
    """Connected regions of one class that cover between two shares of the picture."""
    pieces = []
    area = label.size
    for index in np.unique(label):
        _, regions, stats, _ = cv2.connectedComponentsWithStats((label == index).astype(np.uint8))
        for region in range(1, len(stats)):
            x, y, w, h, count = (int(v) for v in stats[region])
            if not smallest * area <= count <= largest * area:
                continue
            mask = regions[y : y + h, x : x + w] == region
            pieces.append(Piece(image[y : y + h, x : x + w].copy(), mask, int(index)))
    return pieces


def _smooth_field(rng: np.random.Generator, h: int, w: int, cells: int) -> np.ndarray:
    """Random smooth field in -1 … 1, about ``cells`` bumps across, float32 ``[h, w]``."""
    coarse = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), -1, 1)


def _trajectory(rng: np.random.Generator, steps: int, jitter: float) -> np.ndarray:
    """Progress at every step, 0 at the first: nearly steady, now and then slowing down."""
    pace = (
        1.0 + rng.uniform(-0.5, 0.5) * np.linspace(-1, 1, steps) + jitter * rng.normal(size=steps)
    )
    return np.concatenate([[0.0], np.cumsum(pace)]).astype(np.float32)


class _Camera:
    """Backward maps from each frame of the clip into the still.

    Pans, or drives towards or away from a point, with depths that vary smoothly over the
    picture; ``speed`` is the 80th percentile of what pixels move per frame.
    """

    def __init__(self, rng: np.random.Generator, h: int, w: int, speed: float, config: Simulation):
        y, x = np.mgrid[:h, :w].astype(np.float32)
        self.grid = np.stack([x, y], -1)
        self.steps = config.steps
        angle = rng.uniform(0, 2 * np.pi)
        # Cameras pan and drive more than they climb.
        pan = np.array([np.cos(angle), 0.35 * np.sin(angle)])
        drives = rng.uniform() < 0.5
        zoom = rng.choice([-1, 1]) * (1.0 if drives else rng.uniform(0.0, 0.3)) / (0.5 * w)
        self.pan = pan * (rng.uniform(0.0, 0.4) if drives else 1.0)
        self.zoom = zoom
        self.turn = rng.normal() * 0.15 / (0.5 * w)
        self.centre = np.array([w * rng.uniform(0.3, 0.7), h * rng.uniform(0.25, 0.65)])
        depth = _smooth_field(rng, h, w, int(rng.integers(1, 6)))
        slope = rng.uniform(-0.3, 0.8) * np.linspace(-1, 1, h, dtype=np.float32)[:, None]
        self.depth = 1.0 + rng.uniform(0, 0.9) * (0.6 * depth + slope)
        if drives:
            # Down a street, what is far from the vanishing point is near to the camera.
            away = np.linalg.norm((self.grid - self.centre) / (0.5 * np.array([w, h])), axis=-1)
            self.depth = self.depth * (0.4 + rng.uniform(0.3, 1.0) * away)
        self.progress = np.array([0.0, 1.0], np.float32)
        self.shake = np.zeros((config.steps + 1, 2))
        self.bend = np.zeros((h, w, 2), np.float32)
        unit = np.percentile(np.linalg.norm(self.backward(1) - self.grid, axis=-1), 80)
        self.pan, self.zoom, self.turn = (v * speed / unit for v in (self.pan, zoom, self.turn))
        self.progress = _trajectory(rng, config.steps, 0.08)
        self.shake = 0.1 * min(speed, 4.0) * rng.normal(size=(config.steps + 1, 2))
        amplitude = config.bend * rng.uniform() ** 2 * min(1.0, 0.2 + speed / 3.0)
        cells = int(rng.integers(2, 7))
        self.bend = amplitude * np.stack([_smooth_field(rng, h, w, cells) for _ in range(2)], -1)

    def backward(self, t: int, nearness: float = 1.0) -> np.ndarray:
        """Position in the still of every pixel of frame t, float32 ``[h, w, 2]``.

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


class _Layer:
    """A region of the still that moves apart from its background.

    It follows the camera, faster or slower by its depth, and may walk and bend besides.
    """

    def __init__(self, rng: np.random.Generator, camera: _Camera, mask: np.ndarray, speed: float):
        h, w = mask.shape
        self.mask = mask.astype(np.float32)
        self.camera = camera
        self.nearness = np.exp(0.4 * rng.normal() + 0.1)
        walks = rng.uniform() < 0.35
        angle, pace = rng.uniform(0, 2 * np.pi), (0.5 + 0.6 * speed) * rng.uniform() * walks
        self.velocity = pace * np.array([np.cos(angle), 0.4 * np.sin(angle)])
        amplitude = rng.uniform(0, 0.5) * min(camera.steps, 3.0 + speed) * (rng.uniform() < 0.7)
        cells = int(rng.integers(4, 12))
        self.bend = amplitude * np.stack([_smooth_field(rng, h, w, cells) for _ in range(2)], -1)
        self.progress = _trajectory(rng, camera.steps, 0.08)
        self.centre = np.argwhere(mask).mean(0)[::-1]

    def backward(self, t: int) -> np.ndarray:
        """Position in the still of every pixel of frame t that shows this layer."""
        p = self.progress[t]
        bent = self.bend * np.float32(np.sin(p * 3.0 / self.camera.steps))
        position = self.camera.backward(t, self.nearness)
        return (position - self.velocity * p + bent).astype(np.float32)

    def paste(self, image: np.ndarray, label: np.ndarray, still: _Still, t: int) -> None:
        """Draws itself onto frame t in place."""
        position = self.backward(t)
        mask = _remap(self.mask, position, None, cv2.INTER_LINEAR)
        rows, columns = np.flatnonzero(mask.max(1) > 0), np.flatnonzero(mask.max(0) > 0)
        if not len(rows):
            return
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        over = _remap(
            still.image, position[box], None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        below = image[box]
        below[:] = below + (over - below) * mask[box][..., None]
        truth = _remap(
            still.label, position[box], None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101
        )
        label[box] = np.where(mask[box] > 0.5, truth, label[box])


@dataclasses.dataclass(frozen=True)
class _Still:
    """Image and label, and the same with the layers taken out."""

    image: np.ndarray
    label: np.ndarray


def _take_out(still: _Still, mask: np.ndarray) -> _Still:
    """Fills a region with what surrounds it, mirrored at its border."""
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
    return _Still(image, label)


def _layer_masks(rng: np.random.Generator, label: np.ndarray, count: int) -> list[np.ndarray]:
    """Connected regions, drawn at random among those that are neither specks nor scenery."""
    found = []
    for index in np.unique(label):
        _, regions, stats, _ = cv2.connectedComponentsWithStats((label == index).astype(np.uint8))
        area = stats[1:, cv2.CC_STAT_AREA]
        for region in np.flatnonzero((area > 0.0003 * label.size) & (area < 0.25 * label.size)):
            found.append((regions, int(region) + 1))
    order = rng.permutation(len(found))[:count]
    return [found[i][0] == found[i][1] for i in order]


def _second_opinion(rng: np.random.Generator, label: np.ndarray, jitter: float) -> np.ndarray:
    """The label with boundaries drawn a little differently."""
    h, w = label.shape
    cells = max(3, min(h, w) // int(rng.integers(12, 30)))
    amplitude = jitter * rng.uniform()
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x = x + amplitude * _smooth_field(rng, h, w, cells)
    y = y + amplitude * _smooth_field(rng, h, w, cells)
    return cv2.remap(label, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


class _Actor:
    """A pasted piece with a motion of its own."""

    def __init__(
        self, rng: np.random.Generator, piece: Piece, h: int, w: int, speed: float, steps: int
    ):
        size = np.exp(rng.uniform(np.log(0.6), np.log(1.6)))
        height, width = (max(3, round(size * n)) for n in piece.mask.shape)
        image, mask = piece.image, piece.mask.astype(np.float32)
        if rng.uniform() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        self.image = cv2.resize(np.ascontiguousarray(image), (width, height)).astype(np.float32)
        self.image = np.clip(self.image * rng.uniform(0.8, 1.2), 0, 255)
        self.mask = cv2.resize(np.ascontiguousarray(mask), (width, height))
        self.label = piece.label
        angle, pace = rng.uniform(0, 2 * np.pi), speed * rng.uniform(0.2, 2.0) + rng.uniform(0, 1)
        velocity = pace * np.array([np.cos(angle), 0.4 * np.sin(angle)])
        progress = _trajectory(rng, steps, 0.1)
        # It stands somewhere in the picture at a random time, so it may enter or leave.
        meeting = rng.integers(0, steps + 1)
        place = np.array([rng.uniform(0, w), rng.uniform(0.1, 1.0) * h])
        self.path = place + (progress - progress[meeting])[:, None] * velocity
        self.growth = np.exp(rng.normal() * 0.01 * (progress - progress[meeting]))
        self.spin = rng.normal() * 0.01 * (progress - progress[meeting])

    def paste(self, image: np.ndarray, label: np.ndarray, t: int) -> None:
        """Draws itself onto frame t in place."""
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


def _develop(
    rng: np.random.Generator, frames: list[np.ndarray], config: Simulation
) -> UInt8[np.ndarray, "n h w 3"]:
    """Light, optics, sensor and compression over the clip."""
    n = len(frames)
    gain = rng.uniform(-1, 1) * config.gain + rng.uniform(-0.4, 0.4, 3) * config.gain
    noise, quality = config.noise * rng.uniform(), int(rng.integers(*config.quality))
    blur = config.blur * rng.uniform(0, 1, n) * (rng.uniform() < 0.7)
    flicker = 0.1 * config.gain * rng.normal(size=n)
    out = []
    for t, frame in enumerate(frames):
        image = frame * (1.0 + gain * t / max(n - 1, 1) + flicker[t])
        if blur[t] > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), float(blur[t]))
        image = image + rng.normal(size=image.shape).astype(np.float32) * noise
        image = np.clip(image, 0, 255).astype(np.uint8)
        code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out.append(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1])
    return np.stack(out)


def _cropped(
    rng: np.random.Generator, image: np.ndarray, label: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A random part of at most this size, mirrored half of the time."""
    h, w = label.shape
    ch, cw = min(h, size[0]), min(w, size[1])
    y, x = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    image, label = image[y : y + ch, x : x + cw], label[y : y + ch, x : x + cw]
    if rng.uniform() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(label).astype(np.int16)


def _surround(still: _Still, image: np.ndarray, label: np.ndarray) -> tuple[_Still, np.ndarray]:
    """Puts a still into the middle of another frame's mirrored surroundings.

    Returns:
      The larger picture, and ``(x, y)`` of the still's corner in it.
    """
    h, w = still.label.shape
    if label.shape != (h, w):
        image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        label = cv2.resize(label, (w, h), interpolation=cv2.INTER_NEAREST)
    dy, dx = h // 2, w // 2
    pad = functools.partial(
        cv2.copyMakeBorder, top=dy, bottom=dy, left=dx, right=dx, borderType=cv2.BORDER_REFLECT_101
    )
    around, truth = pad(image.astype(np.float32)), pad(label)
    around[dy : dy + h, dx : dx + w] = still.image
    truth[dy : dy + h, dx : dx + w] = still.label
    return _Still(around, truth), np.array([dx, dy], np.float32)


def simulate_clip(
    rng: np.random.Generator,
    image: UInt8[np.ndarray, "h w 3"],
    label: Int[np.ndarray, "h w"],
    *,
    speed: float,
    pieces: Sequence[Piece] = (),
    beyond: tuple[np.ndarray, np.ndarray] | None = None,
    config: Simulation | None = None,
) -> tuple[UInt8[np.ndarray, "n sh sw 3"], Int[np.ndarray, "n sh sw"]]:
    """Turns a labelled still into a labelled clip.

    Args:
      rng: source of every random choice.
      image: RGB.
      label: class indices.
      speed: typical motion in pixels per frame.
      pieces: cut-outs to paste, of this still and of others.
      beyond: image and label of another frame, whose mirrored rim is what the camera finds
        beyond the border; without it, that of this still.
      config: strengths; the default suits most footage.

    Returns:
      ``config.steps + 1`` frames, and the class indices of each; at most ``config.size``.
    """
    config = Simulation() if config is None else config
    image, label = _cropped(rng, image, label, config.size)
    ch, cw = label.shape
    camera = _Camera(rng, ch, cw, speed, config)
    masks = _layer_masks(rng, label, int(rng.integers(config.layers + 1)))
    layers = [_Layer(rng, camera, mask, speed) for mask in masks]
    layers.sort(key=lambda layer: layer.nearness)  # the nearest is drawn last
    other = (image, label) if beyond is None else _cropped(rng, *beyond, config.size)
    still = _Still(image.astype(np.float32), label)
    scenery = _take_out(still, np.any(masks, axis=0)) if masks else still
    count = int(rng.integers(config.objects + 1)) if pieces else 0
    chosen = [pieces[int(rng.integers(len(pieces)))] for _ in range(count)]
    actors = [_Actor(rng, piece, ch, cw, speed, config.steps) for piece in chosen]
    frames, labels = [], []
    scenery, margin = _surround(scenery, *other)
    for t in range(config.steps + 1):
        position = camera.backward(t) + margin
        seen = _remap(
            scenery.image, position, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        truth = _remap(
            scenery.label, position, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101
        )
        for layer in layers:
            layer.paste(seen, truth, still, t)
        for actor in actors:
            actor.paste(seen, truth, t)
        frames.append(seen)
        labels.append(truth)
    labels[0] = _second_opinion(rng, labels[0], config.jitter)
    return _develop(rng, frames, config), np.stack(labels).astype(np.int32)


def typical_speeds(flows: Sequence[np.ndarray]) -> np.ndarray:
    """80th percentile of the length of each flow, pixels per frame: speeds worth simulating."""
    lengths = [np.linalg.norm(flow, axis=-1) for flow in flows]
    return np.array([float(np.nanpercentile(length, 80)) for length in lengths], np.float32)
