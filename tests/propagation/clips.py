"""Small clips whose cues are known."""

from __future__ import annotations

import jax
import numpy as np

from wrp_jax.propagation.cues import derive, lay_out
from wrp_jax.types import ClipCues, Cues

_derive = jax.jit(derive)


def compiled_cues(clip: ClipCues, orders: np.ndarray) -> Cues:
    """``chain_cues``, compiled once per shape."""
    return _derive(lay_out(clip, np.asarray(orders)))


def random_clip(
    rng: np.random.Generator,
    n: int = 4,
    h: int = 5,
    w: int = 6,
    classes: int = 3,
    dtype: type = np.float32,
) -> ClipCues:
    """Cues without any meaning; the flow's sample points lie between the pixels."""

    def flow() -> np.ndarray:
        whole = rng.integers(-1, 2, (n - 1, h, w, 2))
        return (whole + rng.uniform(0.2, 0.8, (n - 1, h, w, 2))).astype(dtype)

    return ClipCues(
        frames=rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8),
        flow_backward=flow(),
        flow_forward=flow(),
        probs=rng.dirichlet(np.ones(classes), size=(n, h, w)).astype(dtype),
        features=rng.normal(size=(n, 2, 3, 4)).astype(dtype),
    )


def shifting_clip(
    rng: np.random.Generator, n: int = 5, h: int = 8, w: int = 12, classes: int = 3
) -> tuple[ClipCues, np.ndarray]:
    """A wide picture that moves two pixels to the left with every frame, and its labels.

    The flow is exact, and the segmentation knows the truth.
    """
    wide = rng.integers(0, 256, (h, w + 2 * n, 3), dtype=np.uint8)
    truth = rng.integers(0, classes, (h, w + 2 * n))
    frames = np.stack([wide[:, 2 * i : 2 * i + w] for i in range(n)])
    labels = np.stack([truth[:, 2 * i : 2 * i + w] for i in range(n)]).astype(np.int32)
    back = np.broadcast_to(np.float32([2, 0]), (n - 1, h, w, 2))
    probs = np.float32(0.9) * np.eye(classes, dtype=np.float32)[labels] + np.float32(0.1 / classes)
    clip = ClipCues(frames, back, -back, probs, np.zeros((n, 2, 3, 4), np.float32))
    return clip, labels
