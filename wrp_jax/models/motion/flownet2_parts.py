"""The sub-networks of FlowNet2 as tables; submodules carry the names of the published weights.

Reference: Ilg et al., "FlowNet 2.0", CVPR 2017; NVIDIA/flownet2-pytorch, ``networks/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.motion.layers import Conv, ConvLeaky, ConvTranspose
from wrp_jax.ops.correlation import local_correlation

Down = tuple[tuple[str, int, int, int], ...]
"""Convolutions: name, features, kernel, stride."""


class Up(NamedTuple):
    """One level of the way up: transposed convolution, joined with an earlier output."""

    level: int
    features: int
    skip: str


class Shape(NamedTuple):
    """What tells the sub-networks apart.

    Attributes:
      down: the way down.
      up: the way up, coarse to fine; flow is predicted before it and on every level.
      inter: whether a convolution without activation stands before each prediction on the way.
      flow_bias: whether the upsampled flows have a bias.
    """

    down: Down
    up: tuple[Up, ...]
    inter: bool = False
    flow_bias: bool = True


_SHARED: Down = (("conv1", 64, 7, 2), ("conv2", 128, 5, 2), ("conv3", 256, 5, 2))
_DEEP: Down = (
    ("conv3_1", 256, 3, 1),
    ("conv4", 512, 3, 2),
    ("conv4_1", 512, 3, 1),
    ("conv5", 512, 3, 2),
    ("conv5_1", 512, 3, 1),
    ("conv6", 1024, 3, 2),
    ("conv6_1", 1024, 3, 1),
)
_FINE: Down = (
    ("conv0", 64, 3, 1),
    ("conv1", 64, 3, 2),
    ("conv1_1", 128, 3, 1),
    ("conv2", 128, 3, 2),
    ("conv2_1", 128, 3, 1),
)
_DEEP_UP = (Up(5, 512, "conv5_1"), Up(4, 256, "conv4_1"), Up(3, 128, "conv3_1"))

CORRELATING = Shape(_DEEP, (*_DEEP_UP, Up(2, 64, "conv2")))
REFINING = Shape((*_SHARED, *_DEEP), (*_DEEP_UP, Up(2, 64, "conv2")), flow_bias=False)
SMALL_MOTION = Shape(
    (*_FINE, ("conv3", 256, 3, 2), *_DEEP), (*_DEEP_UP, Up(2, 64, "conv2_1")), inter=True
)
FUSING = Shape(_FINE, (Up(1, 32, "conv1_1"), Up(0, 16, "conv0")), inter=True)


class InterConv(nn.Module):
    """Convolution without activation before a prediction."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Same size."""
        return Conv(self.features, name="0")(x)


def _down(x: Array, plan: Down) -> dict[str, Array]:
    """Outputs of all convolutions by name; called inside a compact method, as is ``_up``."""
    seen = {}
    for name, features, size, stride in plan:
        x = seen[name] = ConvLeaky(features, size, stride, name=name)(x)
    return seen


def _up(x: Array, seen: Mapping[str, Array], shape: Shape) -> Array:
    """Predicts flow coarse to fine, from the last output of the way down."""
    flow = Conv(2, name=f"predict_flow{shape.up[0].level + 1}")(x)
    for level, features, skip in shape.up:
        name = f"upsampled_flow{level + 1}_to_{level}"
        above = ConvTranspose(2, use_bias=shape.flow_bias, name=name)(flow)
        x = ConvLeaky(features, transposed=True, name=f"deconv{level}")(x)
        x = jnp.concatenate([seen[skip], x, above], axis=-1)
        read = InterConv(features, name=f"inter_conv{level}")(x) if shape.inter else x
        flow = Conv(2, name=f"predict_flow{level}")(read)
    return flow


class SubNetwork(nn.Module):
    """FlowNetS (``REFINING``), FlowNetSD (``SMALL_MOTION``) or the fusion (``FUSING``)."""

    shape: Shape

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ 2"]:
        """Flow in the network's units at the size of the last level: a quarter, or full."""
        seen = _down(x, self.shape.down)
        return _up(seen[self.shape.down[-1][0]], seen, self.shape)


class FlowNetC(nn.Module):
    """Correlates the features of two images ``[b, h, w, 6]``; gives flow2."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 6"]) -> Float[Array, "b _ _ 2"]:
        """Flow at a quarter of the size, in the network's units."""
        b = x.shape[0]
        # The first three layers see both images with the same weights.
        shared = _down(jnp.concatenate([x[..., :3], x[..., 3:]]), _SHARED)
        first, second = shared["conv3"][:b], shared["conv3"][b:]
        correlated = local_correlation(first, second)
        self.sow("intermediates", "correlation", correlated)
        redirected = ConvLeaky(32, 1, name="conv_redir")(first)
        x = jnp.concatenate([redirected, nn.leaky_relu(correlated, 0.1)], axis=-1)
        seen = _down(x, CORRELATING.down) | {"conv2": shared["conv2"][:b]}
        return _up(seen["conv6_1"], seen, CORRELATING)
