"""The sub-networks of FlowNet2; submodules carry the names of the published weights.

Reference: Ilg et al., "FlowNet 2.0", CVPR 2017; NVIDIA/flownet2-pytorch, ``networks/``.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.motion.layers import Conv, ConvLeaky, ConvTranspose
from wrp_jax.ops.correlation import local_correlation

_DEEP = (
    ("conv4", 512, 3, 2),
    ("conv4_1", 512, 3, 1),
    ("conv5", 512, 3, 2),
    ("conv5_1", 512, 3, 1),
    ("conv6", 1024, 3, 2),
    ("conv6_1", 1024, 3, 1),
)
_DECONV = {5: 512, 4: 256, 3: 128, 2: 64}


def _ladder(x: Array, plan: tuple[tuple[str, int, int, int], ...], seen: dict[str, Array]) -> Array:
    """Applies the convolutions of ``plan``, keeping every output by name."""
    for name, features, size, stride in plan:
        x = seen[name] = ConvLeaky(features, size, stride, name=name)(x)
    return x


class InterConv(nn.Module):
    """Convolution without activation before a prediction."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Same size."""
        return Conv(self.features, name="0")(x)


def _climb(
    x: Array, skips: dict[int, Array], *, flow_bias: bool = True, inter: bool = False
) -> Array:
    """Predicts flow coarse to fine; called inside a compact method, whose names it fills.

    Args:
      x: output of ``conv6_1``.
      skips: encoder outputs by level, 5 … 2.
      flow_bias: whether the upsampled flows have a bias.
      inter: whether a further convolution stands before each prediction.

    Returns:
      flow2 ``[b, h/4, w/4, 2]``.
    """
    flow = Conv(2, name="predict_flow6")(x)
    for level in (5, 4, 3, 2):
        name = f"upsampled_flow{level + 1}_to_{level}"
        up = ConvTranspose(2, use_bias=flow_bias, name=name)(flow)
        x = ConvLeaky(_DECONV[level], transposed=True, name=f"deconv{level}")(x)
        x = jnp.concatenate([skips[level], x, up], axis=-1)
        read = InterConv(_DECONV[level], name=f"inter_conv{level}")(x) if inter else x
        flow = Conv(2, name=f"predict_flow{level}")(read)
    return flow


class FlowNetC(nn.Module):
    """Correlates the features of two images ``[b, h, w, 6]``; gives flow2."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 6"]) -> Float[Array, "b _ _ 2"]:
        """Flow at a quarter of the size, in the network's units."""
        b = x.shape[0]
        seen: dict[str, Array] = {}
        # The first three layers see both images with the same weights.
        both = jnp.concatenate([x[..., :3], x[..., 3:]])
        plan = (("conv1", 64, 7, 2), ("conv2", 128, 5, 2), ("conv3", 256, 5, 2))
        both = _ladder(both, plan, seen)
        first, second = both[:b], both[b:]
        correlated = local_correlation(first, second)
        self.sow("intermediates", "correlation", correlated)
        redirected = ConvLeaky(32, 1, name="conv_redir")(first)
        x = jnp.concatenate([redirected, nn.leaky_relu(correlated, 0.1)], axis=-1)
        x = _ladder(x, (("conv3_1", 256, 3, 1), *_DEEP), seen)
        skips = {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen["conv2"][:b]}
        return _climb(x, skips)


class FlowNetS(nn.Module):
    """Refines a flow from both images, the warped one, the flow and the error; gives flow2."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 12"]) -> Float[Array, "b _ _ 2"]:
        """Flow at a quarter of the size, in the network's units."""
        seen: dict[str, Array] = {}
        plan = (
            ("conv1", 64, 7, 2),
            ("conv2", 128, 5, 2),
            ("conv3", 256, 5, 2),
            ("conv3_1", 256, 3, 1),
            *_DEEP,
        )
        x = _ladder(x, plan, seen)
        skips = {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen["conv2"]}
        return _climb(x, skips, flow_bias=False)


class FlowNetSD(nn.Module):
    """For small displacements: 3x3 kernels and convolutions before the predictions; gives flow2."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 6"]) -> Float[Array, "b _ _ 2"]:
        """Flow at a quarter of the size, in the network's units."""
        seen: dict[str, Array] = {}
        plan = (
            ("conv0", 64, 3, 1),
            ("conv1", 64, 3, 2),
            ("conv1_1", 128, 3, 1),
            ("conv2", 128, 3, 2),
            ("conv2_1", 128, 3, 1),
            ("conv3", 256, 3, 2),
            ("conv3_1", 256, 3, 1),
            *_DEEP,
        )
        x = _ladder(x, plan, seen)
        skips = {5: seen["conv5_1"], 4: seen["conv4_1"], 3: seen["conv3_1"], 2: seen["conv2_1"]}
        return _climb(x, skips, inter=True)


class FlowNetFusion(nn.Module):
    """Fuses two flows by their errors; gives flow in pixels at full size."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 11"]) -> Float[Array, "b h w 2"]:
        """Flow at full size, in pixels."""
        seen: dict[str, Any] = {}
        plan = (
            ("conv0", 64, 3, 1),
            ("conv1", 64, 3, 2),
            ("conv1_1", 128, 3, 1),
            ("conv2", 128, 3, 2),
            ("conv2_1", 128, 3, 1),
        )
        x = _ladder(x, plan, seen)
        flow = Conv(2, name="predict_flow2")(x)
        for level, features, skip in ((1, 32, "conv1_1"), (0, 16, "conv0")):
            up = ConvTranspose(2, name=f"upsampled_flow{level + 1}_to_{level}")(flow)
            x = ConvLeaky(features, transposed=True, name=f"deconv{level}")(x)
            x = jnp.concatenate([seen[skip], x, up], axis=-1)
            read = InterConv(features, name=f"inter_conv{level}")(x)
            flow = Conv(2, name=f"predict_flow{level}")(read)
        return flow
