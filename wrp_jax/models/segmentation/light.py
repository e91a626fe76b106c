"""A segmentation network that a CPU trains from scratch in minutes.

A residual encoder down to stride 16 out of plain 3x3 convolutions and matrix products (see
``models/layers.py``), under the OCR head and the decoder of ``decoder.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from wrp_jax.models import layers
from wrp_jax.models.layers import BasicBlock, ConvNorm
from wrp_jax.models.segmentation.decoder import at_most, decode
from wrp_jax.types import SegmentationOutput

MULTIPLE = 16
"""Sides of an image are padded to a multiple of this."""


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
        images = at_most(images, self.max_pixels)
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
        return decode(stages, (height, width), self.num_classes, w, train=train)
