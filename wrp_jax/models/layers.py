"""Layers that several networks share, chosen for speed on CPUs as well as on accelerators.

On XLA:CPU a 1x1 convolution is several times slower than the matrix product it is, depthwise
and transposed convolutions are an order of magnitude slower than elsewhere, and the gradient of
a bilinear enlargement costs more than a 3x3 convolution. So: `Dense` for 1x1, plain 3x3
convolutions, and enlargement by repetition in front of a convolution that smooths.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.ops.convolution import conv

EPSILON = 1e-5
"""Of norms, where nothing else is said."""

he_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")
torch_default = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""How PyTorch draws a convolution's kernel."""


class Conv(nn.Module):
    """`ops.convolution.conv` with its parameters, in the type of its input.

    Attributes:
      features: channels that come out.
      size: side of the square kernel; 1 is a matrix product, with a matrix as its kernel.
      strides: step of the kernel.
      use_bias: whether a bias is added.
      kernel_init: draws the kernel.
    """

    features: int
    size: int = 3
    strides: int = 1
    use_bias: bool = True
    kernel_init: Callable[..., Array] = he_fan_out

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b oh ow f"]:
        """Applies the layer; the output has ``ceil(h / strides)`` rows."""
        shape = (x.shape[-1], self.features)
        if self.size > 1:
            shape = (self.size, self.size, *shape)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        kernel = kernel.reshape(self.size, self.size, *shape[-2:])
        return conv(x, kernel, bias, stride=self.strides)


class BatchNorm(nn.Module):
    """Batch norm whose running variance is the unbiased one, as PyTorch's (Flax: biased).

    The statistics are float32 and those of the global batch; momentum is 0.9 per step.

    Attributes:
      epsilon: added to the variance.
      frozen: whether the running statistics stay as they are and serve in training as well.
    """

    epsilon: float = EPSILON
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Normalises by the batch where ``train`` and not frozen, else by running statistics."""
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (c,))
        var = self.variable("batch_stats", "var", jnp.ones, (c,))
        use_mean, use_var = mean.value, var.value
        if train and not self.frozen:
            x32 = x.astype(jnp.float32)
            use_mean, use_var = x32.mean(axis=(0, 1, 2)), x32.var(axis=(0, 1, 2))
            if not self.is_initializing():
                count = x.size // c
                mean.value = 0.9 * mean.value + 0.1 * use_mean
                var.value = 0.9 * var.value + 0.1 * use_var * count / max(count - 1, 1)
        factor = scale * jax.lax.rsqrt(use_var + self.epsilon)
        return ((x - use_mean) * factor + bias).astype(x.dtype)


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, if asked for, ReLU.

    Attributes:
      features: channels that come out.
      kernel: side of the square kernel; 1 is a matrix product on the channel axis.
      strides: step of the kernel; with an odd kernel the output has ``ceil(h / strides)`` rows.
      relu: whether a ReLU ends the layer.
      use_bias: of the convolution; the norm makes it superfluous, but published files have it.
    """

    features: int
    kernel: int = 3
    strides: int = 1
    relu: bool = True
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b oh ow f"]:
        """Applies the layer; batch statistics are those of the whole (global) batch."""
        x = Conv(self.features, self.kernel, self.strides, self.use_bias, name="conv")(x)
        x = BatchNorm(name="norm")(x, train)
        return relu(x) if self.relu else x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, figure 5 left).

    Attributes:
      features: channels that come out.
      strides: of the first convolution and of the shortcut.
    """

    features: int
    strides: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b oh ow f"]:
        """Applies the block."""
        y = ConvNorm(self.features, strides=self.strides, name="conv1")(x, train=train)
        y = ConvNorm(self.features, relu=False, name="conv2")(y, train=train)
        if self.strides > 1:
            # Mean pooling in front of a matrix product: the strided 1x1 convolution of the
            # original discards three of four pixels.
            x = mean_pool(x, self.strides)
        if x.shape[-1] != self.features:
            x = ConvNorm(self.features, kernel=1, relu=False, name="shortcut")(x, train=train)
        return relu(x + y)


def relu(x: Array) -> Array:
    """``max(x, 0)``, any shape; the gradient at 0 is 0.

    A choice of three operands, not a maximum with a constant: XLA computes a cheap operation of
    one operand anew for every one that reads it. On CPUs a chain of residual blocks written with
    maxima sums up all its shortcuts, back to the first, at the end of every block.
    """
    return jnp.where(x <= 0, 0, x)


def relu6(x: Array) -> Array:
    """``min(max(x, 0), 6)``, any shape; the gradient at both ends is 0. Written as `relu` is."""
    return jnp.where(x >= 6, 6, relu(x))


def mean_pool(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b oh ow c"]:
    """Means of blocks of ``factor x factor`` pixels; both sides must be multiples of it."""
    b, h, w, c = x.shape
    return x.reshape(b, h // factor, factor, w // factor, factor, c).mean((2, 4))


def space_to_depth(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b oh ow d"]:
    """Moves blocks of ``factor x factor`` pixels into channels (row, column, channel)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor**2 * c)


def depth_to_space(x: Float[Array, "b h w d"], factor: int) -> Float[Array, "b oh ow c"]:
    """The inverse of `space_to_depth`."""
    b, h, w, d = x.shape
    c = d // factor**2
    x = x.reshape(b, h, w, factor, factor, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * factor, w * factor, c)


def enlarge(x: Float[Array, "b h w c"], factor: int) -> Float[Array, "b oh ow c"]:
    """Repeats every pixel ``factor`` times along both sides."""
    return jnp.repeat(jnp.repeat(x, factor, axis=1), factor, axis=2)


def pad_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b ph pw c"]:
    """Repeats the last row and column until both sides are multiples of ``multiple``."""
    rows, columns = -x.shape[1] % multiple, -x.shape[2] % multiple
    if not rows and not columns:
        return x
    return jnp.pad(x, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge")
