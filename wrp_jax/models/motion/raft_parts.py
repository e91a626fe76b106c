"""The parts of RAFT: encoders, recurrent update, upsampling.

Submodules carry the names of the published weights (princeton-vl/RAFT, ``core/extractor.py`` and
``core/update.py``); torchvision's other names are translated in ``weights/published.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import BatchNorm, relu
from wrp_jax.models.motion.layers import (
    Conv,
    WeightTree,
    he_normal_fan_out,
    instance_norm,
)
from wrp_jax.ops.convolution import conv


@dataclasses.dataclass(frozen=True)
class RaftSize:
    """What tells RAFT large and small apart.

    Attributes:
      bottleneck: three convolutions per residual block, the outer ones 1x1.
      widths: channels of the stem and of the three stages.
      features: channels that are correlated.
      hidden, context: how the context encoder's channels are split.
      context_norm: ``batch`` or ``none``.
      radius: of the lookup window.
    """

    bottleneck: bool
    widths: tuple[int, int, int, int]
    features: int
    hidden: int
    context: int
    context_norm: str
    radius: int
    levels: int = 4

    @property
    def correlation_channels(self) -> int:
        """Channels of one lookup."""
        return self.levels * (2 * self.radius + 1) ** 2


LARGE = RaftSize(False, (64, 64, 96, 128), 256, 128, 128, "batch", 4)
SMALL = RaftSize(True, (32, 32, 64, 96), 128, 96, 64, "none", 3)


def _norm(kind: str, name: str, x: Array, train: bool) -> Array:
    if kind == "batch":
        return BatchNorm(name=name)(x, train)
    return instance_norm(x) if kind == "instance" else x


def _encoder_conv(features: int, size: int, stride: int, name: str) -> Conv:
    return Conv(features, size, stride, kernel_init=he_normal_fan_out, name=name)


class Shortcut(nn.Module):
    """1x1 convolution and norm beside a strided residual block."""

    features: int
    stride: int
    norm: str

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """``[b, h, w, c]`` to ``[b, h / stride, w / stride, features]``."""
        x = _encoder_conv(self.features, 1, self.stride, "0")(x)
        return _norm(self.norm, "1", x, train)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1; every one with norm and ReLU, the last too."""

    features: int
    stride: int
    norm: str
    bottleneck: bool

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """``[b, h, w, c]`` to ``[b, h / stride, w / stride, features]``."""
        if self.bottleneck:
            narrow = self.features // 4
            plan = ((narrow, 1, 1), (narrow, 3, self.stride), (self.features, 1, 1))
        else:
            plan = ((self.features, 3, self.stride), (self.features, 3, 1))
        y = x
        for k, (features, size, stride) in enumerate(plan, start=1):
            y = _encoder_conv(features, size, stride, f"conv{k}")(y)
            y = nn.relu(_norm(self.norm, f"norm{k}", y, train))
        if self.stride != 1:
            x = Shortcut(self.features, self.stride, self.norm, name="downsample")(x, train)
        return relu(x + y)  # several read the sum: not a maximum, see layers.relu


class Stage(nn.Module):
    """Two residual blocks, the first strided."""

    features: int
    stride: int
    norm: str
    bottleneck: bool

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """``[b, h, w, c]`` to ``[b, h / stride, w / stride, features]``."""
        for k, stride in enumerate((self.stride, 1)):
            block = ResidualBlock(self.features, stride, self.norm, self.bottleneck, name=str(k))
            x = block(x, train)
        return x


class Encoder(nn.Module):
    """``[b, h, w, 3]`` in -1 … 1 to ``[b, h/8, w/8, features]``."""

    size: RaftSize
    features: int
    norm: str

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Features at 1/8 of the size."""
        stem, *widths = self.size.widths
        x = _encoder_conv(stem, 7, 2, "conv1")(x)
        x = relu(_norm(self.norm, "norm1", x, train))
        for k, (width, stride) in enumerate(zip(widths, (1, 2, 2), strict=True), start=1):
            stage = Stage(width, stride, self.norm, self.size.bottleneck, name=f"layer{k}")
            x = stage(x, train)
        return _encoder_conv(self.features, 1, 1, "conv2")(x)


def update_weights(size: RaftSize, name: str | None = None) -> WeightTree:
    """The parameters of the update block, by published name."""
    h, lookups = size.hidden, size.correlation_channels
    if size is LARGE:
        gru_input = h + size.context + 128
        shapes = {
            "encoder": {
                "convc1": (1, 1, lookups, 256),
                "convc2": (3, 3, 256, 192),
                "convf1": (7, 7, 2, 128),
                "convf2": (3, 3, 128, 64),
                "conv": (3, 3, 256, 126),
            },
            "gru": {
                **{f"conv{gate}1": (1, 5, gru_input, h) for gate in "zrq"},
                **{f"conv{gate}2": (5, 1, gru_input, h) for gate in "zrq"},
            },
            "flow_head": {"conv1": (3, 3, h, 256), "conv2": (3, 3, 256, 2)},
            "mask": {"0": (3, 3, h, 256), "2": (1, 1, 256, 9 * 64)},
        }
    else:
        gru_input = h + size.context + 82
        shapes = {
            "encoder": {
                "convc1": (1, 1, lookups, 96),
                "convf1": (7, 7, 2, 64),
                "convf2": (3, 3, 64, 32),
                "conv": (3, 3, 128, 80),
            },
            "gru": {f"conv{gate}": (3, 3, gru_input, h) for gate in "zrq"},
            "flow_head": {"conv1": (3, 3, h, 128), "conv2": (3, 3, 128, 2)},
        }
    return WeightTree(shapes, name=name)


def _motion_features(weights: dict[str, Any], samples: Array, flow: Array) -> Array:
    """Encodes correlation samples and the present flow; the flow itself is appended."""
    c = nn.relu(conv(samples, *weights["convc1"]))
    if "convc2" in weights:
        c = nn.relu(conv(c, *weights["convc2"]))
    f = nn.relu(conv(flow, *weights["convf1"]))
    f = nn.relu(conv(f, *weights["convf2"]))
    both = nn.relu(conv(jnp.concatenate([c, f], axis=-1), *weights["conv"]))
    return jnp.concatenate([both, flow], axis=-1)


def _recurrent_unit(
    weights: dict[str, Any], suffix: str, context: Array, hidden_size: int
) -> Callable[[Array, Array], Array]:
    """A convolutional GRU ``(hidden, motion) -> hidden`` whose context never changes.

    The input of its three convolutions is ``[hidden, context, motion]``. Convolution is linear:
    the share of the context is computed once for all iterations, and gates that read the same
    input are one convolution.
    """
    kernels, biases = zip(*(weights[f"conv{gate}{suffix}"] for gate in "zrq"), strict=True)
    first, second = hidden_size, hidden_size + context.shape[-1]
    of_hidden = jnp.concatenate([k[:, :, :first] for k in kernels[:2]], axis=-1)
    of_reset = kernels[2][:, :, :first]
    of_context = jnp.concatenate([k[:, :, first:second] for k in kernels], axis=-1)
    of_motion = jnp.concatenate([k[:, :, second:] for k in kernels], axis=-1)
    constant = conv(context, of_context, jnp.concatenate(biases))

    def unit(hidden: Array, motion: Array) -> Array:
        inputs = conv(motion, of_motion) + constant
        gates = nn.sigmoid(conv(hidden, of_hidden) + inputs[..., : 2 * hidden_size])
        z, r = jnp.split(gates, 2, axis=-1)
        q = nn.tanh(conv(r * hidden, of_reset) + inputs[..., 2 * hidden_size :])
        return (1 - z) * hidden + z * q

    return unit


def make_update(
    weights: dict[str, Any], context: Float[Array, "b h w c"], hidden_size: int
) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
    """The update operator with everything done that does not change between iterations.

    Returns:
      ``update(hidden, samples, flow) -> (hidden, delta)``; ``delta`` float32, in pixels of the
      1/8 grid.
    """
    suffixes = ("1", "2") if "convz1" in weights["gru"] else ("",)
    units = [_recurrent_unit(weights["gru"], s, context, hidden_size) for s in suffixes]
    head = weights["flow_head"]

    def update(hidden: Array, samples: Array, flow: Array) -> tuple[Array, Array]:
        dtype = hidden.dtype
        motion = _motion_features(weights["encoder"], samples.astype(dtype), flow.astype(dtype))
        for unit in units:
            hidden = unit(hidden, motion)
        delta = conv(nn.relu(conv(hidden, *head["conv1"])), *head["conv2"])
        return hidden, delta.astype(jnp.float32)

    return update


def upsampling_mask(weights: dict[str, Any], hidden: Array) -> Float[Array, "b h w 576"]:
    """Logits of the convex combination: channel ``64 k + 8 u + v``, neighbour k, place (u, v)."""
    mask = conv(nn.relu(conv(hidden, *weights["mask"]["0"])), *weights["mask"]["2"])
    return 0.25 * mask.astype(jnp.float32)


def convex_upsample(
    flow: Float[Array, "b h w 2"], mask: Float[Array, "b h w 576"]
) -> Float[Array, "b 8*h 8*w 2"]:
    """Each fine vector is a convex combination of 8 times the 3x3 coarse ones around it."""
    b, h, w, _ = flow.shape
    weights = nn.softmax(mask.reshape(b, h, w, 9, 64), axis=3)
    padded = jnp.pad(8 * flow, ((0, 0), (1, 1), (1, 1), (0, 0)))
    near = jnp.stack(
        [padded[:, dy : dy + h, dx : dx + w] for dy in range(3) for dx in range(3)], axis=3
    )
    fine = jnp.sum(weights[..., None] * near[..., None, :], axis=3)
    fine = fine.reshape(b, h, w, 8, 8, 2).transpose(0, 1, 3, 2, 4, 5)
    return fine.reshape(b, 8 * h, 8 * w, 2)


def _align_corners(size: int, factor: int) -> Array:
    """Matrix ``[factor * size, size]`` of linear interpolation with aligned corners."""
    place = jnp.arange(factor * size) * ((size - 1) / (factor * size - 1))
    return jnp.maximum(0.0, 1.0 - jnp.abs(place[:, None] - jnp.arange(size)))


def bilinear_upsample(flow: Float[Array, "b h w 2"]) -> Float[Array, "b 8*h 8*w 2"]:
    """8 times the flow, bilinearly at 8 times the size, corners aligned (RAFT small)."""
    _, h, w, _ = flow.shape
    rows, columns = _align_corners(h, 8), _align_corners(w, 8)
    return 8 * jnp.einsum("yi,bijc,xj->byxc", rows, flow, columns)


def upsample(weights: dict[str, Any], hidden: Array, flow: Array) -> Array:
    """Flow at full resolution, by the mask of the large network or bilinearly in the small."""
    if "mask" not in weights:
        return bilinear_upsample(flow)
    return convex_upsample(flow, upsampling_mask(weights, hidden))


def split_context(context: Array, hidden: int, dtype: Any) -> tuple[Array, Array]:
    """Splits the context encoder's output into the first hidden state and the context."""
    return (
        nn.tanh(context[..., :hidden]).astype(dtype),
        nn.relu(context[..., hidden:]).astype(dtype),
    )


def pixel_grid(height: int, width: int) -> Float[Array, "h w 2"]:
    """``(x, y)`` of every pixel."""
    x, y = jnp.meshgrid(jnp.arange(width), jnp.arange(height))
    return jnp.stack([x, y], axis=-1).astype(jnp.float32)
