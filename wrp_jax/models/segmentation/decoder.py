"""The OCR head and the decoder of the networks that a CPU trains, and the size they work at.

An OCR head at stride 8, and a decoder at stride 4 that sees fine features again and gives 2x2
logits per position: thin things are lost at stride 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models import layers
from wrp_jax.models.layers import ConvNorm
from wrp_jax.models.segmentation.ocr import ObjectContext
from wrp_jax.types import SegmentationOutput

STRIDE = 2
"""Pixels of the (resized) image per logit, along each side."""


def decode(
    stages: Sequence[Float[Array, "b _ _ _"]],
    size: tuple[int, int],
    num_classes: int,
    width: int,
    *,
    train: bool,
) -> SegmentationOutput:
    """Makes layers of the module that calls it, and applies them.

    Args:
      stages: features at strides 4, 8 and 16, with any channels.
      size: height and width of the image before it was padded.
      num_classes: scores per pixel.
      width: all widths follow from it: ``4 * width`` OCR features.
      train: whether batch statistics are used and updated.

    Returns:
      Logits at stride 2, OCR features and auxiliary logits at stride 8.
    """
    (height, breadth), w = size, width
    fine, middle, coarse = stages
    coarse = ConvNorm(4 * w, kernel=1, name="coarse")(coarse, train=train)
    middle = ConvNorm(4 * w, kernel=1, name="middle")(middle, train=train)
    pixels = jnp.concatenate([middle, layers.enlarge(coarse, 2)], axis=-1)
    pixels = ConvNorm(4 * w, name="pixels")(pixels, train=train)
    aux = ConvNorm(2 * w, kernel=1, name="aux_hidden")(pixels, train=train)
    aux = nn.Dense(num_classes, name="aux")(aux)
    features = ObjectContext(4 * w, 2 * w, name="ocr")(pixels, aux, train=train)

    fine = ConvNorm(w, kernel=1, name="fine")(fine, train=train)
    top = ConvNorm(2 * w, kernel=1, name="top")(features, train=train)
    x = jnp.concatenate([layers.enlarge(top, 2), fine], axis=-1)
    x = ConvNorm(2 * w, name="decoder")(x, train=train)
    logits = nn.Dense(num_classes * (4 // STRIDE) ** 2, name="logits")(x)
    logits = layers.depth_to_space(logits, 4 // STRIDE)
    return SegmentationOutput(
        logits=logits[:, : -(-height // STRIDE), : -(-breadth // STRIDE)],
        features=features[:, : -(-height // 8), : -(-breadth // 8)],
        aux_logits=aux[:, : -(-height // 8), : -(-breadth // 8)],
    )


def working_scale(size: tuple[int, int], max_pixels: int) -> float:
    """Factor, at most 1, by which an image of (height, width) is made smaller."""
    return min(1.0, (max_pixels / (size[0] * size[1])) ** 0.5)


def at_most(images: Float[Array, "b h w 3"], pixels: int) -> Float[Array, "b rh rw 3"]:
    """Images of at most about so many pixels, made smaller bilinearly where they have more."""
    b, height, width, channels = images.shape
    scale = working_scale((height, width), pixels)
    if scale == 1.0:
        return images
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return jax.image.resize(images, (b, rows, columns, channels), "linear")
