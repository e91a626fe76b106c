"""Pictures whose motion is known in closed form, and a warp to check flows with."""

import cv2
import numpy as np

from wrp_jax.data.flow_sets.pairs import FlowPair


def surface(x, y):
    """A smooth picture, any point of the plane."""
    waves = [
        np.sin(0.11 * x + 0.07 * y), np.cos(0.05 * x - 0.13 * y), np.sin(0.09 * y + 0.03 * x + 1),
    ]  # fmt: skip
    return 127.5 + 100 * np.stack(waves, axis=-1)


def affine_pair(size=(80, 112), linear=((0.03, -0.02), (0.01, 0.02)), shift=(5.3, -3.6)):
    """``first(x) = second(x + flow(x))`` exactly, but for rounding to uint8."""
    h, w = size
    x, y = np.meshgrid(np.arange(w, dtype=np.float64), np.arange(h, dtype=np.float64))
    flow = np.stack([x, y], -1) @ np.transpose(linear) + np.asarray(shift)
    first = surface(x + flow[..., 0], y + flow[..., 1])
    pictures = [np.rint(picture).astype(np.uint8) for picture in (first, surface(x, y))]
    return FlowPair(*pictures, flow.astype(np.float32), np.ones(size, bool))


def fetch_error(pair):
    """``|first(x) - second(x + flow(x))|``, NaN where nothing is known or it lies outside."""
    h, w = pair.valid.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    x, y = x + pair.flow[..., 0], y + pair.flow[..., 1]
    moved = cv2.remap(pair.second.astype(np.float32), x, y, cv2.INTER_LINEAR)
    error = np.abs(moved - pair.first).mean(-1)
    known = pair.valid & (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    return np.where(known, error, np.nan)
