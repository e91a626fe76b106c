"""Arrays of a street scene's size and smoothness: labels in patches, flow that varies slowly."""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH, CLASSES = 512, 1024, 20


def smooth(rng: np.random.Generator, *shape: int, cell: int = 64) -> np.ndarray:
    """Noise that varies over ``cell`` pixels, float32 ``[*shape]``; height and width lead."""
    import cv2

    h, w, *rest = shape
    coarse = rng.normal(size=(h // cell + 1, w // cell + 1, *rest)).astype(np.float32)
    return cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC).reshape(shape)


def scene(seed: int = 0) -> dict[str, np.ndarray]:
    """One pair of frames: labels, backward flow of about 6 pixels, images, probabilities."""
    rng = np.random.default_rng(seed)
    h, w = HEIGHT, WIDTH
    patches = rng.integers(0, CLASSES, (h // 16, w // 16))
    logits = 3 * rng.normal(size=(h, w, CLASSES)).astype(np.float32)
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return {
        "labels": np.kron(patches, np.ones((16, 16)))[None].astype(np.uint8),
        "flow": 6 * smooth(rng, h, w, 2)[None],
        "photometric": np.abs(0.3 * smooth(rng, h, w, cell=8))[None],
        "consistency": np.abs(smooth(rng, h, w, cell=8))[None],
        "image": rng.uniform(size=(1, h, w, 3)).astype(np.float32),
        "probs": probs[None],
    }
