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

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Int, Int16, Int32, UInt8

from wrp_jax.simulation.camera import Camera
from wrp_jax.simulation.cutouts import Cutout, PastedObject
from wrp_jax.simulation.labelled_image import LabelledImage, surround
from wrp_jax.simulation.layers import Layer, draw_layer_masks, remove_region
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.simulation.random_fields import smooth_field
from wrp_jax.simulation.sensor import take_pictures


def simulate_clip(
    rng: np.random.Generator,
    image: UInt8[np.ndarray, "h w 3"],
    label: Int[np.ndarray, "h w"],
    *,
    speed: float,
    cutouts: Sequence[Cutout] = (),
    beyond: tuple[np.ndarray, np.ndarray] | None = None,
    options: SimulationOptions | None = None,
) -> tuple[UInt8[np.ndarray, "n sh sw 3"], Int32[np.ndarray, "n sh sw"]]:
    """Turns a labelled still into a labelled clip.

    Args:
      rng: source of every random choice.
      image: RGB.
      label: class indices, -1 where unknown.
      speed: typical motion in pixels per frame.
      cutouts: to paste, of this still and of others.
      beyond: image and label of another frame, whose mirrored rim is what the camera finds
        beyond the border; without it, that of this still.
      options: strengths; the default suits most footage.

    Returns:
      ``options.steps + 1`` frames, RGB, and the class indices of each; at most ``options.size``.
    """
    options = SimulationOptions() if options is None else options
    image, label = _crop(rng, image, label, options.size)
    h, w = label.shape
    camera = Camera(rng, h, w, speed, options)
    masks = draw_layer_masks(rng, label, int(rng.integers(options.layers + 1)))
    layers = [Layer(rng, camera, mask, speed) for mask in masks]
    layers.sort(key=lambda layer: layer.nearness)  # the nearest is drawn last
    other = (image, label) if beyond is None else _crop(rng, *beyond, options.size)
    still = LabelledImage(image.astype(np.float32), label)
    scenery = remove_region(still, np.any(masks, axis=0)) if masks else still
    count = int(rng.integers(options.objects + 1)) if cutouts else 0
    chosen = [cutouts[int(rng.integers(len(cutouts)))] for _ in range(count)]
    objects = [PastedObject(rng, cutout, h, w, speed, options.steps) for cutout in chosen]
    scenery, margin = surround(scenery, *other)
    scenes, labels = [], []
    for t in range(options.steps + 1):
        scene, truth = scenery.sample(camera.backward(t) + margin)
        for layer in layers:
            layer.paste(scene, truth, still, t)
        for pasted in objects:
            pasted.paste(scene, truth, t)
        scenes.append(scene)
        labels.append(truth)
    labels[0] = redraw_boundaries(rng, labels[0], options.jitter)
    return take_pictures(rng, scenes, options), np.stack(labels).astype(np.int32)


def typical_speeds(
    flows: Sequence[Float32[np.ndarray, "h w 2"]],
) -> Float32[np.ndarray, " flows"]:
    """80th percentile of the length of each flow, pixels per frame: speeds worth simulating.

    Void vectors (NaN) are left out.
    """
    lengths = [np.linalg.norm(flow, axis=-1) for flow in flows]
    return np.array([float(np.nanpercentile(length, 80)) for length in lengths], np.float32)


def redraw_boundaries(
    rng: np.random.Generator, label: Int16[np.ndarray, "h w"], jitter: float
) -> Int16[np.ndarray, "h w"]:
    """The label as another annotator draws it, boundaries at most about ``jitter`` pixels off."""
    h, w = label.shape
    cells = max(3, min(h, w) // int(rng.integers(12, 30)))
    amplitude = jitter * rng.uniform()
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x = x + amplitude * smooth_field(rng, h, w, cells)
    y = y + amplitude * smooth_field(rng, h, w, cells)
    return cv2.remap(label, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def _crop(
    rng: np.random.Generator,
    image: UInt8[np.ndarray, "h w 3"],
    label: Int[np.ndarray, "h w"],
    size: tuple[int, int],
) -> tuple[UInt8[np.ndarray, "ch cw 3"], Int16[np.ndarray, "ch cw"]]:
    """A random part of at most this size, mirrored half of the time."""
    h, w = label.shape
    ch, cw = min(h, size[0]), min(w, size[1])
    y, x = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    image, label = image[y : y + ch, x : x + cw], label[y : y + ch, x : x + cw]
    if rng.uniform() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(label).astype(np.int16)
