"""A segmentation network that a CPU trains from scratch in minutes.

A residual encoder down to stride 16 out of plain 3x3 convolutions and matrix products (see
``models/layers.py``), an OCR head at stride 8, and a decoder at stride 4 that sees the fine
features again and gives 2x2 logits per position: thin things are lost at stride 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models import layers
from wrp_jax.models.layers import BasicBlock, ConvNorm
from wrp_jax.models.segmentation.ocr import ObjectContext
from wrp_jax.types import SegmentationOutput

MULTIPLE = 16
"""Sides of an image are padded to a multiple of this."""

STRIDE = 2
"""Pixels of the (resized) image per logit, along each side."""


class LightSegmentation(nn.Module):
    """Encoder, OCR head and decoder.

    Attributes:
      num_classes: scores per pixel.
      width: channels at stride 2; all other widths follow from it.
      blocks: residual blocks at strides 4, 8 and 16.
      max_pixels: a larger image is made smaller, to about this many pixels, first.
    """

    num_classes: int
    width: int = 32
    blocks: Sequence[int] = (1, 2, 2)
    max_pixels: int = 480 * 360

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w 3"], *, train: bool = False
    ) -> SegmentationOutput:
        """Segments images with values 0 … 1; logits at stride 2, features and aux at stride 8."""
        images = _at_most(images, self.max_pixels)
        height, width = images.shape[1:3]
        x = layers.pad_to_multiple(images, MULTIPLE)
        x = (x - 0.45) * 4.0  # roughly zero mean, unit deviation
        x = layers.space_to_depth(x, 2)
        w = self.width
        x = ConvNorm(w, name="stem1")(x, train=train)
        x = ConvNorm(2 * w, strides=2, name="stem2")(x, train=train)

        stages = []
        for stage, (count, features) in enumerate(
            zip(self.blocks, (2 * w, 4 * w, 8 * w), strict=True)
        ):
            for block in range(count):
                strides = 2 if stage and not block else 1
                name = f"stage{stage + 1}_block{block + 1}"
                x = BasicBlock(features, strides, name=name)(x, train=train)
            stages.append(x)
        fine, middle, coarse = stages

        coarse = ConvNorm(4 * w, kernel=1, name="coarse")(coarse, train=train)
        middle = ConvNorm(4 * w, kernel=1, name="middle")(middle, train=train)
        pixels = jnp.concatenate([middle, layers.enlarge(coarse, 2)], axis=-1)
        pixels = ConvNorm(4 * w, name="pixels")(pixels, train=train)
        aux = ConvNorm(2 * w, kernel=1, name="aux_hidden")(pixels, train=train)
        aux = nn.Dense(self.num_classes, name="aux")(aux)
        features = ObjectContext(4 * w, 2 * w, name="ocr")(pixels, aux, train=train)

        fine = ConvNorm(w, kernel=1, name="fine")(fine, train=train)
        top = ConvNorm(2 * w, kernel=1, name="top")(features, train=train)
        x = jnp.concatenate([layers.enlarge(top, 2), fine], axis=-1)
        x = ConvNorm(2 * w, name="decoder")(x, train=train)
        logits = nn.Dense(self.num_classes * (4 // STRIDE) ** 2, name="logits")(x)
        logits = layers.depth_to_space(logits, 4 // STRIDE)
        return SegmentationOutput(
            logits=logits[:, : -(-height // STRIDE), : -(-width // STRIDE)],
            features=features[:, : -(-height // 8), : -(-width // 8)],
            aux_logits=aux[:, : -(-height // 8), : -(-width // 8)],
        )


def working_scale(size: tuple[int, int], max_pixels: int) -> float:
    """Factor, at most 1, by which an image of (height, width) is made smaller."""
    return min(1.0, (max_pixels / (size[0] * size[1])) ** 0.5)


def _at_most(images: Float[Array, "b h w 3"], pixels: int) -> Float[Array, "b rh rw 3"]:
    b, height, width, channels = images.shape
    scale = working_scale((height, width), pixels)
    if scale == 1.0:
        return images
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return jax.image.resize(images, (b, rows, columns, channels), "linear")
