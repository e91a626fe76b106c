"""Layers of the published motion networks, with the arithmetic of the originals.

Kernels are ``[kh, kw, in, out]``; padding is symmetric and explicit (PyTorch's, which differs
from ``"SAME"`` at stride 2). A layer computes in the type of its input; parameters are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import EPSILON, torch_default
from wrp_jax.ops.convolution import conv

he_normal_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def conv_transpose(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "4 4 c out"],
    bias: Float[Array, "out"] | None = None,
) -> Float[Array, "b 2*h 2*w out"]:
    """PyTorch's transposed convolution of kernel 4, stride 2, padding 1: twice the size.

    ``out[2i + p] = sum_t in[i + t] kernel[p + 1 - 2t]`` per axis: two taps for either parity p.
    The four parities are one convolution with a 2x2 kernel and interleaved outputs, which on
    CPUs has a fast gradient, unlike a convolution of a dilated input.
    """
    b, h, w, _ = x.shape
    out = kernel.shape[-1]
    # Parity 0 meets in[i-1], in[i] with taps 3, 1; parity 1 meets in[i], in[i+1] with taps 2, 0.
    taps = ((3, 1), (2, 0))
    phases = [
        kernel[jnp.asarray(taps[py])][:, jnp.asarray(taps[px])] for py in (0, 1) for px in (0, 1)
    ]
    y = jax.lax.conv_general_dilated(
        x,
        jnp.concatenate(phases, axis=-1).astype(x.dtype),
        (1, 1),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ).reshape(b, h + 1, w + 1, 2, 2, out)
    # Output k of the padded convolution starts at in[k-1]: parity 1 begins one later.
    rows = jnp.stack([y[:, :h, :, 0], y[:, 1:, :, 1]], axis=2)
    y = jnp.stack([rows[:, :, :, :w, 0], rows[:, :, :, 1:, 1]], axis=4)
    y = y.reshape(b, 2 * h, 2 * w, out)
    return y if bias is None else y + bias.astype(x.dtype)


class Conv(nn.Module):
    """``conv`` with its parameters."""

    features: int
    size: int = 3
    stride: int = 1
    kernel_init: Callable[..., Any] = torch_default

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[b, h, w, c]`` to ``[b, h / stride, w / stride, features]``."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return conv(x, kernel, bias, stride=self.stride)


class ConvTranspose(nn.Module):
    """``conv_transpose`` with its parameters."""

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[b, h, w, c]`` to ``[b, 2 h, 2 w, features]``."""
        shape = (4, 4, x.shape[-1], self.features)
        kernel = self.param("transposed_kernel", torch_default, shape)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return conv_transpose(x, kernel, bias)


class ConvLeaky(nn.Module):
    """Convolution (or, ``transposed``, its transpose) and leaky ReLU of the FlowNet family."""

    features: int
    size: int = 3
    stride: int = 1
    transposed: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[b, h / stride, w / stride, features]``, or ``[b, 2 h, 2 w, features]``."""
        if self.transposed:
            x = ConvTranspose(self.features, name="0")(x)
        else:
            x = Conv(self.features, self.size, self.stride, name="0")(x)
        return nn.leaky_relu(x, 0.1)


def instance_norm(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Zero mean and unit variance per sample and channel; no parameters."""
    x32 = x.astype(jnp.float32)
    mean = x32.mean(axis=(1, 2), keepdims=True)
    centred = x32 - mean
    var = (centred * centred).mean(axis=(1, 2), keepdims=True)
    return (centred * jax.lax.rsqrt(var + EPSILON)).astype(x.dtype)


class ConvWeights(nn.Module):
    """The parameters of a convolution, handed out: for use inside a ``jax.lax.scan``."""

    shape: tuple[int, int, int, int]

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        """Kernel and bias."""
        kernel = self.param("kernel", torch_default, self.shape)
        return kernel, self.param("bias", nn.initializers.zeros, self.shape[-1:])


class WeightTree(nn.Module):
    """``ConvWeights`` by name: ``shapes`` maps names to kernel shapes or to further names."""

    shapes: Mapping[str, Any]

    @nn.compact
    def __call__(self) -> dict[str, Any]:
        """Nested dictionaries of kernels and biases."""
        return {
            name: WeightTree(entry, name=name)()
            if isinstance(entry, Mapping)
            else ConvWeights(tuple(entry), name=name)()
            for name, entry in self.shapes.items()
        }
