"""Renders whole clips: frames, labels, exact motion and what can be seen in both frames."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Int32, UInt8

from wrp_jax.data.synthetic import render
from wrp_jax.data.synthetic.camera import View, displacement, drive, look
from wrp_jax.data.synthetic.config import SyntheticConfig
from wrp_jax.data.synthetic.layout import lay_scene
from wrp_jax.data.synthetic.town import build_town


@dataclasses.dataclass(frozen=True)
class SyntheticClip:
    """A clip of N frames. Flows as in ``wrp_jax.types``: ``(dx, dy)`` in pixels.

    Attributes:
      frames: uint8 ``[N, H, W, 3]``, RGB.
      labels: int32 ``[N, H, W]``, class indices of ``CLASSES``; what the pixel centre shows.
      flow_backward: float32 ``[N-1, H, W, 2]``; entry i lives on frame i+1 and points into
        frame i. Exact also where the point is hidden in the other frame or lies outside it;
        NaN where it stands behind the camera there.
      flow_forward: the same; entry i lives on frame i and points into frame i+1.
      visible_backward, visible_forward: bool ``[N-1, H, W]``: the pixel nearest to where the
        flow points lies inside the other frame and shows the same patch of surface.
    """

    frames: UInt8[np.ndarray, "n h w 3"]
    labels: Int32[np.ndarray, "n h w"]
    flow_backward: Float32[np.ndarray, "n-1 h w 2"]
    flow_forward: Float32[np.ndarray, "n-1 h w 2"]
    visible_backward: Bool[np.ndarray, "n-1 h w"]
    visible_forward: Bool[np.ndarray, "n-1 h w"]


def render_clip(config: SyntheticConfig, seed: int) -> SyntheticClip:
    """Renders the clip of a seed.

    All randomness comes from ``numpy.random.default_rng`` (PCG64), seeded with ``seed``, or with
    the town's seed for its looks. The same options and seed give the same bytes on every run
    with one version of NumPy and OpenCV.
    """
    town = build_town(seed if config.town is None else config.town)
    rng = np.random.default_rng([seed, 2])
    scene = lay_scene(config, town, rng)
    camera = drive(config, scene.road, rng)
    n, h, w = config.frames, config.height, config.width
    frames, labels = np.empty((n, h, w, 3), np.uint8), np.empty((n, h, w), np.int32)
    flow = np.empty((2, max(n - 1, 0), h, w, 2), np.float32)
    visible = np.empty((2, max(n - 1, 0), h, w), bool)
    exposure = _exposure(config, rng)
    before: tuple[View, np.ndarray] | None = None
    for k in range(n):
        view = look(scene, camera, k, h, w)
        hits = render.cast(scene, view, h, w)
        labels[k] = render.label(scene, hits)
        rays = camera.axes[k].T @ np.linalg.inv(camera.intrinsics)
        color = render.paint(scene, view, hits, float(camera.intrinsics[0, 0]), rays)
        frames[k] = _develop(config, color * exposure[k], rng)
        if before is not None:
            flow[0, k - 1], visible[0, k - 1] = motion(view, *before, hits.ids[0])
            flow[1, k - 1], visible[1, k - 1] = motion(before[0], view, hits.ids[0], before[1])
        before = (view, hits.ids[0].copy())
    return SyntheticClip(frames, labels, flow[0], flow[1], visible[0], visible[1])


def motion(
    here: View,
    there: View,
    ids_there: Int[np.ndarray, "h w"],
    ids_here: Int[np.ndarray, "h w"],
) -> tuple[Float32[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
    """Exact flow of one frame into another, and what is seen in both.

    Args:
      here: view of the frame that the flow lives on.
      there: view of the frame that it points into.
      ids_there: patch at every pixel centre of the frame that it points into.
      ids_here: the same of the frame that it lives on.

    Returns:
      float32 ``[H, W, 2]`` and bool ``[H, W]``, as in ``SyntheticClip``.
    """
    h, w = ids_here.shape
    x, y, _ = displacement(here, there, ids_here)
    column, row = np.rint(np.nan_to_num(x, nan=-9)), np.rint(np.nan_to_num(y, nan=-9))
    inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    column = np.where(inside, column, 0).astype(np.int64)
    row = np.where(inside, row, 0).astype(np.int64)
    visible = inside & (ids_there[row, column] == ids_here)
    flow = np.stack([x - np.arange(w), y - np.arange(h)[:, None]], axis=-1)
    return flow.astype(np.float32), visible


def _exposure(config: SyntheticConfig, rng: np.random.Generator) -> np.ndarray:
    """Gain of each frame: a slow drift, a wave and flicker."""
    time = np.arange(config.frames)
    drift = rng.uniform(-0.008, 0.008) * (time - config.frames / 2)
    wave = 0.06 * np.sin(2 * np.pi * time / rng.uniform(8, 30) + rng.uniform(0, 6.3))
    flicker = 0.01 * rng.standard_normal(config.frames)
    return np.exp(config.exposure * (drift + wave + flicker))


def _develop(config: SyntheticConfig, color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lens blur, photon and read noise, rounding, JPEG: float 0 … 1 to uint8."""
    if config.blur > 0:
        color = cv2.GaussianBlur(color, (0, 0), config.blur, borderType=cv2.BORDER_REPLICATE)
    color = np.clip(color, 0, 1)
    if config.noise > 0:
        deviation = config.noise * np.sqrt(0.006**2 + 0.02**2 * color)
        color = color + deviation * rng.standard_normal(color.shape, dtype=np.float32)
    picture = np.clip(np.rint(color * 255), 0, 255).astype(np.uint8)
    if config.jpeg:
        ok, packed = cv2.imencode(
            ".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, config.jpeg]
        )
        if not ok:
            raise RuntimeError("OpenCV could not encode a JPEG")
        picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]
    return picture
