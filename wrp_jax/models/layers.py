"""Layers that several networks share, chosen for speed on CPUs as well as on accelerators.

On XLA:CPU a 1x1 convolution is several times slower than the matrix product it is, depthwise
and transposed convolutions are an order of magnitude slower than elsewhere, and the gradient of
a bilinear enlargement costs more than a 3x3 convolution. So: `Dense` for 1x1, plain 3x3
convolutions, and enlargement by repetition in front of a convolution that smooths.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation and, if asked for, ReLU.

    Attributes:
      features: channels that come out.
      kernel: side of the square kernel; 1 is a matrix product on the channel axis.
      strides: step of the kernel; with an odd kernel the output has ``ceil(h / strides)`` rows.
      relu: whether a ReLU ends the layer.
      momentum: of the running statistics, per training step.
    """

    features: int
    kernel: int = 3
    strides: int = 1
    relu: bool = True
    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b oh ow f"]:
        """Applies the layer; batch statistics are those of the whole (global) batch."""
        init = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")
        if self.kernel == 1 and self.strides == 1:
            x = nn.Dense(self.features, use_bias=False, kernel_init=init, name="conv")(x)
        else:
            pad = self.kernel // 2
            x = nn.Conv(
                self.features,
                (self.kernel, self.kernel),
                (self.strides, self.strides),
                padding=((pad, pad), (pad, pad)),
                use_bias=False,
                kernel_init=init,
                name="conv",
            )(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=self.momentum, name="norm")(x)
        return nn.relu(x) if self.relu else x


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
        return nn.relu(x + y)


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
