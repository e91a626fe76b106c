"""A segmentation network that has seen ImageNet: EfficientNet-Lite0 under the light decoder."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models import layers
from wrp_jax.models.segmentation.decoder import at_most, decode
from wrp_jax.models.segmentation.efficientnet_lite import MULTIPLE, EfficientNetLite
from wrp_jax.types import SegmentationOutput


class EfficientSegmentation(nn.Module):
    """Pretrained encoder, OCR head and decoder.

    Attributes:
      num_classes: scores per pixel.
      width: of the decoder; ``4 * width`` OCR features.
      max_pixels: a larger image is made smaller, to about this many pixels, first.
    """

    num_classes: int
    width: int = 24
    max_pixels: int = 480 * 360

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w 3"], *, train: bool = False
    ) -> SegmentationOutput:
        """Segments images with values 0 … 1; logits at stride 2, features and aux at stride 8."""
        images = at_most(images, self.max_pixels)
        height, width = images.shape[1:3]
        x = layers.pad_to_multiple(images, MULTIPLE)
        half, fine, middle, deep, deepest = EfficientNetLite(name="encoder")(x, train=train)
        fine = jnp.concatenate([fine, layers.space_to_depth(half, 2)], axis=-1)
        coarse = jnp.concatenate([deep, layers.enlarge(deepest, 2)], axis=-1)
        stages = (fine, middle, coarse)
        return decode(stages, (height, width), self.num_classes, self.width, train=train)
