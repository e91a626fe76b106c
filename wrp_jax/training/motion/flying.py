"""Pieces of frames that fly over other frames: pairs with exact flow from any pictures.

A background and up to ``pieces`` cut-outs (blobs, polygons, bars) each move by an affine map of
their own, so that they occlude, leave and enter. What is cut out comes from the pictures that are
given; nothing else is needed.

Reference: Dosovitskiy et al., "FlowNet", ICCV 2015, section 4.2 (chairs over photographs).
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np

from wrp_jax.data.flow_sets.pairs import FlowPair
from wrp_jax.data.source import VideoSource


@dataclasses.dataclass(frozen=True)
class FlyingOptions:
    """How strongly things move and differ.

    Attributes:
      pieces: at most so many.
      drift: typical shift of the background, in widths.
      speed: typical shift of a piece against the background, in widths.
      turn: typical rotation between the frames, radians.
      zoom: typical change of size between the frames, a fraction.
      light: largest relative change of brightness.
      noise: largest standard deviation of the noise, grey levels of 255.
      blur: largest standard deviation of the blur, pixels.
    """

    pieces: int = 12
    drift: float = 0.012
    speed: float = 0.02
    turn: float = 0.04
    zoom: float = 0.03
    light: float = 0.08
    noise: float = 5.0
    blur: float = 0.9


class _Layer(NamedTuple):
    """A textured piece of the plane; ``poses`` map its own coordinates to each of the frames."""

    texture: np.ndarray
    mask: np.ndarray | None
    poses: tuple[np.ndarray, np.ndarray]


class FlyingPieces:
    """``FlowPairs`` drawn anew at every use from the frames of a source."""

    def __init__(
        self,
        source: VideoSource,
        size: tuple[int, int],
        count: int,
        options: FlyingOptions | None = None,
    ):
        """Lists the frames.

        Args:
          source: its frames are what is cut up.
          size: height and width of the pairs.
          count: pairs of one pass.
          options: see ``FlyingOptions``.
        """
        self._source, self._size, self._count = source, size, count
        self._options = options or FlyingOptions()
        self._frames = [(s, name) for s in source.sequences for name in source.frame_names(s)]

    def __len__(self) -> int:
        """Pairs of one pass."""
        return self._count

    def pair(self, index: int, rng: np.random.Generator) -> FlowPair:
        """Draws a pair; ``index`` plays no part."""
        del index
        layers = self._layers(rng)
        h, w = self._size
        frames = [np.zeros((h, w, 3), np.float32) for _ in range(2)]
        top = np.zeros((h, w), np.int32)
        for number, layer in enumerate(layers):
            for k, frame in enumerate(frames):
                pose, mask = layer.poses[k], layer.mask
                if mask is None:
                    frame[:] = _place(layer.texture, pose, self._size, cv2.BORDER_REFLECT_101)
                    continue
                rows, columns = _box(mask, pose, self._size)
                part, shape = frame[rows, columns], top[rows, columns].shape
                if not part.size:
                    continue
                pose = _shift(-columns.start, -rows.start) @ pose
                color = _place(layer.texture, pose, shape, cv2.BORDER_REFLECT_101)
                alpha = _place(mask, pose, shape, cv2.BORDER_CONSTANT)
                part += alpha[..., None] * (color - part)
                if k == 0:
                    top[rows, columns][alpha > 0.5] = number
        moves = np.stack([(b @ np.linalg.inv(a))[:2] for a, b in (x.poses for x in layers)])
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        m = moves[top].astype(np.float32)
        flow = np.stack(
            [m[..., i, 0] * x + m[..., i, 1] * y + m[..., i, 2] for i in range(2)], axis=-1
        ) - np.stack([x, y], axis=-1)
        first, second = self._take_pictures(frames, rng)
        return FlowPair(first, second, flow, np.ones((h, w), bool))

    def _layers(self, rng: np.random.Generator) -> list[_Layer]:
        h, w = self._size
        o = self._options
        strength = float(np.exp(rng.normal(0, 0.7)))
        background = self._texture(rng)
        pose = _cover(rng, background.shape[:2], self._size)
        middle = np.array([w / 2, h / 2])
        camera = _motion(rng, middle, strength * o.drift * w, o.turn, o.zoom)
        layers = [_Layer(background, None, (pose, camera @ pose))]
        for _ in range(int(rng.integers(1, o.pieces + 1))):
            extent = w * float(np.clip(np.exp(rng.normal(-1.9, 0.7)), 0.03, 0.7))
            texture = self._texture(rng)
            mask = _shape(rng, texture.shape[:2])
            scale = extent / (0.8 * min(texture.shape[:2]))
            centre = rng.uniform((-0.1 * w, -0.1 * h), (1.1 * w, 1.1 * h))
            angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.1)
            own = _similarity(angle, scale, np.array(texture.shape[1::-1]) / 2, centre)
            move = _motion(rng, centre, strength * o.speed * w, 2 * o.turn, 2 * o.zoom)
            layers.append(_Layer(texture, mask, (own, camera @ move @ own)))
        return layers

    def _texture(self, rng: np.random.Generator) -> np.ndarray:
        """A frame, mirrored or turned at random, in colours of its own."""
        image = self._source.frame(*self._frames[int(rng.integers(len(self._frames)))])
        image = image[:, :: 1 if rng.random() < 0.5 else -1].astype(np.float32)
        if rng.random() < 0.3:
            image = image.transpose(1, 0, 2)
        if rng.random() < 0.3:
            image = image[..., rng.permutation(3)]
        gain, offset = np.exp(rng.normal(0, 0.25, 3)), rng.normal(0, 12)
        return np.ascontiguousarray(np.clip(image * gain + offset, 0, 255), np.float32)

    def _take_pictures(
        self, frames: list[np.ndarray], rng: np.random.Generator
    ) -> list[np.ndarray]:
        o = self._options
        blur, noise = rng.uniform(0, o.blur), rng.uniform(0, o.noise)
        light = np.exp(rng.uniform(-o.light, o.light) * rng.choice([0, 1]))
        out = []
        for frame, gain in zip(frames, (1.0, light), strict=True):
            if blur > 0.3:
                frame = cv2.GaussianBlur(frame, (0, 0), blur)
            frame = frame * gain + noise * rng.standard_normal(frame.shape, dtype=np.float32)
            out.append(np.clip(frame + 0.5, 0, 255).astype(np.uint8))
        return out


def _shape(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Mask of a piece, float32 0 … 1: a blob, a polygon with corners, or a bar."""
    h, w = size
    kind = rng.random()
    count = 64 if kind < 0.6 else int(rng.integers(3, 8))
    angle = np.sort(rng.uniform(0, 2 * np.pi, count)) if count < 64 else np.arange(64) * np.pi / 32
    radius = np.ones(count)
    if count == 64:
        for k in range(1, 6):
            radius += rng.normal(0, 0.35 / k) * np.cos(k * angle + rng.uniform(0, 6.3))
    radius = np.clip(radius, 0.25, 1.8)
    stretch = rng.uniform(0.04, 0.15) if kind > 0.85 else np.exp(rng.normal(0, 0.3))
    axes = 0.28 * min(h, w) * np.array([np.sqrt(stretch), 1 / np.sqrt(stretch)])
    points = np.stack([np.cos(angle), np.sin(angle)], -1) * radius[:, None] * axes
    points += np.array([w / 2, h / 2])
    mask = np.zeros((h, w), np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _motion(
    rng: np.random.Generator, centre: np.ndarray, shift: float, turn: float, zoom: float
) -> np.ndarray:
    """An affine map near the identity. Shifts have heavy tails: few are large."""
    length = shift * np.exp(rng.normal(0, 0.8))
    way = rng.uniform(-np.pi, np.pi)
    target = centre + length * np.array([np.cos(way), np.sin(way)])
    if rng.random() < 0.3:
        turn, zoom = 0.0, 0.0
    return _similarity(rng.normal(0, turn), np.exp(rng.normal(0, zoom)), centre, target)


def _similarity(angle: float, scale: float, centre: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``[3, 3]``: turns and scales about ``centre``, which comes to lie at ``target``."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, target - linear @ centre
    return matrix


def _cover(rng: np.random.Generator, size: tuple[int, int], view: tuple[int, int]) -> np.ndarray:
    """A pose in which a picture covers the view, enlarged and shifted at random."""
    least = max(view[0] / size[0], view[1] / size[1])
    scale = least * np.exp(rng.uniform(0, 0.7))
    room = np.maximum(scale * np.array(size[::-1]) - np.array(view[::-1]), 0) / 2
    target = np.array(view[::-1]) / 2 + rng.uniform(-room, room)
    return _similarity(0.0, scale, np.array(size[::-1]) / 2, target)


def _place(image: np.ndarray, pose: np.ndarray, size: tuple[int, ...], border: int) -> np.ndarray:
    """The picture in the view of ``pose``; shrunk by areas first, so that no pixel is skipped."""
    scale = np.sqrt(abs(np.linalg.det(pose[:2, :2])))
    if scale < 0.75:
        h, w = image.shape[:2]
        small = (max(2, round(w * scale)), max(2, round(h * scale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        # Pixel centres: the shrunk picture's i lies at (i + 1/2) w / small - 1/2.
        fx, fy = w / small[0], h / small[1]
        pose = pose @ np.array([[fx, 0, fx / 2 - 0.5], [0, fy, fy / 2 - 0.5], [0, 0, 1]])
    view = (size[1], size[0])
    return cv2.warpAffine(image, pose[:2], view, flags=cv2.INTER_LINEAR, borderMode=border)


def _shift(x: int, y: int) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _box(mask: np.ndarray, pose: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the view that a piece may touch."""
    h, w = mask.shape
    corners = np.array([[0, w, 0, w], [0, 0, h, h], [1, 1, 1, 1]], np.float64)
    places = (pose @ corners)[:2]
    left, top = (max(0, int(np.floor(v)) - 2) for v in places.min(1))
    right, bottom = (int(np.ceil(v)) + 3 for v in places.max(1))
    right, bottom = min(right, size[1]), min(bottom, size[0])
    return slice(top, max(bottom, top)), slice(left, max(right, left))
