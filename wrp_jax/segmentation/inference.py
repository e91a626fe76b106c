"""Ways of asking a segmentation network more than once, each a `Network` around a `Network`.

Logits are averaged, not probabilities, as in NVIDIA/semantic-segmentation
(``utils/trnval_utils.py``, ``eval_minibatch``). Hierarchical attention over scales is no such
wrapper but part of its network (``hrnet_ocr.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wrp_jax.config import SegmentationInference
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.hrnet_ocr import scaled_size
from wrp_jax.ops.resize import resize
from wrp_jax.types import SegmentationOutput, UserError

ALIGNMENT = 32
"""Windows start at multiples of this, so that all strides of a network see the same grid."""


def for_inference(network: Network, options: SegmentationInference) -> Network:
    """The network as ``options`` want it asked: averaged over scales and flips, in windows.

    Raises:
      UserError: the window is not a multiple of 32 pixels, or its overlap not within 0 … 0.9.
    """
    if options.average_scales:
        network = average_scales(network, options.average_scales)
    if options.flip:
        network = average_flips(network)
    if any(options.window):
        if any(side <= 0 or side % ALIGNMENT for side in options.window):
            raise UserError(
                f"config.segmentation.inference.window is {options.window}: give a height and a "
                f"width that are multiples of {ALIGNMENT}, or (0, 0) for whole images."
            )
        network = over_windows(network, options.window, options.overlap)
    return network


def average_flips(network: Network) -> Network:
    """Averages the logits of an image and of its mirror image; logits at the image's size."""

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        _inference_only(train)
        output, logits = _whole(network, variables, images)
        _, mirrored = _whole(network, variables, images[:, :, ::-1])
        return output._replace(logits=0.5 * (logits + mirrored[:, :, ::-1]))

    return Network(network.init, apply)


def average_scales(network: Network, scales: Sequence[float]) -> Network:
    """Averages the logits of an image at scale 1 and at further ones; features are scale 1's."""

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        _inference_only(train)
        size = (images.shape[1], images.shape[2])
        output, total = _whole(network, variables, images)
        others = [scale for scale in scales if scale != 1.0]
        for scale in others:
            scaled = resize(images, scaled_size(size, scale))
            total += resize(_whole(network, variables, scaled)[1], size)
        return output._replace(logits=total / (1 + len(others)))

    return Network(network.init, apply)


def over_windows(network: Network, window: tuple[int, int], overlap: float) -> Network:
    """Looks at one window after the other, for images that do not fit as a whole.

    Logits (and features) are averaged where windows overlap, with weights that fall towards the
    edges of a window, where it sees least around a pixel. Features whose stride does not divide
    32, as of a network that makes large pictures smaller, are resized to the nearest that does.

    Args:
      network: sees each window as if it were an image.
      window: height and width, multiples of 32; an image that is no larger is seen whole.
      overlap: share of a window's side that the next one sees too, at least.
    """

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        _inference_only(train)
        b, height, width, _ = images.shape
        rows = window_starts(height, window[0], overlap)
        columns = window_starts(width, window[1], overlap)
        if len(rows) == len(columns) == 1:
            return network.apply(variables, images)
        below, beside = rows[-1] + window[0] - height, columns[-1] + window[1] - width
        padded = jnp.pad(images, ((0, 0), (0, max(below, 0)), (0, max(beside, 0)), (0, 0)), "edge")
        starts = np.array([(y, x) for y in rows for x in columns], np.int32)

        def look(start: Array) -> tuple[Array, Array]:
            part = jax.lax.dynamic_slice(padded, (0, start[0], start[1], 0), (b, *window, 3))
            output, logits = _whole(network, variables, part)
            stride = _nearest_stride(window, output.features.shape[1:3])
            # On a grid that windows share, or they could not be laid over one another.
            return logits, resize(output.features, (window[0] // stride, window[1] // stride))

        shapes = jax.eval_shape(look, starts[0])
        strides = [window[0] // shape.shape[1] for shape in shapes]
        tents = [_tent(window, stride) for stride in strides]
        totals, weights = [], []
        for shape, stride, tent in zip(shapes, strides, tents, strict=True):
            size = (padded.shape[1] // stride, padded.shape[2] // stride)
            totals.append(jnp.zeros((b, *size, shape.shape[-1]), jnp.float32))
            weights.append(_overlay(starts // stride, size, tent))

        def add(sums: list[Array], start: Array) -> tuple[list[Array], None]:
            new = []
            for total, part, tent, stride in zip(sums, look(start), tents, strides, strict=True):
                place = (0, start[0] // stride, start[1] // stride, 0)
                part = part.astype(jnp.float32) * tent
                old = jax.lax.dynamic_slice(total, place, part.shape)
                new.append(jax.lax.dynamic_update_slice(total, old + part, place))
            return new, None

        totals, _ = jax.lax.scan(add, totals, jnp.asarray(starts))
        logits, features = (t / w for t, w in zip(totals, weights, strict=True))
        stride = strides[1]
        return SegmentationOutput(
            logits=logits[:, :height, :width],
            features=features[:, : -(-height // stride), : -(-width // stride)].astype(
                shapes[1].dtype
            ),
        )

    return Network(network.init, apply)


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows start along one side: multiples of 32, the last one reaches the end."""
    if window >= length:
        return [0]
    most = max(1, int(window * (1.0 - overlap)) // ALIGNMENT) * ALIGNMENT
    count = math.ceil((length - window) / most)
    step = math.ceil((length - window) / count / ALIGNMENT) * ALIGNMENT
    count = 1 + math.ceil((length - window) / step)
    return [step * k for k in range(count)]


def _nearest_stride(window: tuple[int, int], features: Sequence[int]) -> int:
    """The power of two, 1 … 32, closest to the pixels per feature along a side."""
    pixels = math.sqrt(math.prod(window) / math.prod(features))
    return 2 ** min(max(round(math.log2(pixels)), 0), int(math.log2(ALIGNMENT)))


def _tent(window: tuple[int, int], stride: int) -> np.ndarray:
    """Weights ``[window / stride, 1]`` that fall linearly from the middle to the edges."""
    rows, columns = (
        np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / n
        for n in (side // stride for side in window)
    )
    return (rows[:, None] * columns)[..., None].astype(np.float32)


def _overlay(starts: np.ndarray, size: tuple[int, int], tent: np.ndarray) -> np.ndarray:
    total = np.zeros((*size, 1), np.float32)
    for y, x in starts:
        total[y : y + tent.shape[0], x : x + tent.shape[1]] += tent
    return total


def _whole(
    network: Network, variables: Any, images: Float[Array, "b h w 3"]
) -> tuple[SegmentationOutput, Float[Array, "b h w k"]]:
    """The output and its logits at the images' size."""
    output = network.apply(variables, images)
    return output, resize(output.logits, (images.shape[1], images.shape[2]))


def _inference_only(train: bool) -> None:
    if train:
        raise ValueError("averaged and windowed networks are for inference alone")
