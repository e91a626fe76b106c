"""Cross-correlation as PyTorch defines it: symmetric, explicit zero padding (``"SAME"`` differs at
stride 2). On CPUs the slow cases of XLA are written as matrix products: a kernel of one pixel, and
the gradient of every kernel, which XLA takes for a convolution whose window is the picture. Where
there are many channels, 3x3 kernels take fewer multiplications (`ops/winograd.py`).
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.ops import winograd

_BLOCK = 1024
"""Pixels whose share of a kernel's gradient is computed at once: they stay in the cache."""

_WIDE = 512
_LARGE = 8192
"""Channels on both sides and pixels from which Winograd's way is taken: there it saves two fifths
of the time. Compiling a layer takes two seconds more, too much for a network's many narrow ones."""


def conv(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c out"],
    bias: Float[Array, "out"] | None = None,
    *,
    stride: int = 1,
) -> Float[Array, "b _ _ out"]:
    """Cross-correlation with zero padding ``(k - 1) / 2`` on every side.

    Args:
      x: the result has its type.
      kernel: odd sides.
      bias: added to every pixel.
      stride: step along both sides; the result has ``ceil(h / stride)`` rows.
    """
    forward = _by_products if jax.default_backend() == "cpu" else _plain
    y: Any = forward(x, kernel.astype(x.dtype), stride)
    # Added in the type of the bias, for its gradient is a sum over all pixels.
    return y if bias is None else (y + bias).astype(x.dtype)


def _plain(x: Array, kernel: Array, stride: int) -> Array:
    kh, kw = kernel.shape[:2]
    if kh == kw == 1:
        # A matrix product: on CPUs the gradient of a 1x1 convolution is ten times slower.
        return jnp.dot(x[:, ::stride, ::stride], kernel[0, 0])
    pad = ((kh // 2, kh // 2), (kw // 2, kw // 2))
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_products(x: Array, kernel: Array, stride: int) -> Array:
    return winograd.convolve(x, kernel) if _saves(x, kernel, stride) else _plain(x, kernel, stride)


def _saves(x: Array, kernel: Array, stride: int) -> bool:
    """Whether Winograd's way is the faster one; in bfloat16 its sums would cost digits."""
    kh, kw, c, out = kernel.shape
    large = min(c, out) >= _WIDE and x.size // c >= _LARGE
    return kh == kw == 3 and stride == 1 and large and kernel.dtype == jnp.float32


def _forward(x: Array, kernel: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return _by_products(x, kernel, stride), (x, kernel)


def _backward(stride: int, inputs: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = inputs
    if _saves(x, kernel, stride):
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return winograd.convolve(cotangent, turned), winograd.kernel_gradient(x, cotangent)
    of_input = jax.linear_transpose(lambda x: _plain(x, kernel, stride), x)(cotangent)[0]
    of_kernel = _kernel_gradient(x, cotangent, (kernel.shape[0], kernel.shape[1]), stride)
    return of_input, of_kernel.astype(kernel.dtype)


_by_products.defvjp(_forward, _backward)


# Compiled once per shape also where the network around it is not compiled as a whole.
@functools.partial(jax.jit, static_argnames=("size", "stride"))
def _kernel_gradient(
    x: Array, cotangent: Array, size: tuple[int, int], stride: int
) -> Float[Array, "kh kw c out"]:
    """The cotangent, transposed, times what lies under the kernel's taps at each of its pixels."""
    (b, height, width, out), (kh, kw), c = cotangent.shape, size, x.shape[-1]
    # One pixel is under a single tap: nothing is copied, so there is no need of blocks.
    rows = height if kh * kw == 1 else max(1, min(height, _BLOCK // (b * width)))
    blocks = -(-height // rows)
    precise = jnp.promote_types(x.dtype, jnp.float32)
    cotangent = _reach(cotangent, (0, 0), (blocks * rows, width))
    tall, wide = (stride * (n - 1) for n in (blocks * rows, width))
    x = _reach(x, (kh // 2, kw // 2), (tall + kh, wide + kw))

    def add_block(block: Array, total: Array) -> Array:
        start = block * rows
        deltas = jax.lax.dynamic_slice_in_dim(cotangent, start, rows, 1).reshape(-1, out)
        under = jax.lax.dynamic_slice_in_dim(x, start * stride, stride * (rows - 1) + kh, 1)
        taps = [
            under[:, i : i + stride * (rows - 1) + 1 : stride, j : j + wide + 1 : stride]
            for i in range(kh)
            for j in range(kw)
        ]
        patches = jnp.concatenate([tap.reshape(-1, c) for tap in taps], axis=1)
        over_pixels = (((0,), (0,)), ((), ()))
        return total + jax.lax.dot_general(
            deltas, patches, over_pixels, preferred_element_type=precise
        )

    zero = jnp.zeros((out, kh * kw * c), precise)
    total = jax.lax.fori_loop(0, blocks, add_block, zero)
    return total.T.reshape(kh, kw, c, out)


def _reach(x: Array, before: tuple[int, int], size: tuple[int, int]) -> Array:
    """Zeros in front, and zeros behind or pixels taken away, until rows and columns are these."""
    sides = [(n, size[i] - n - x.shape[i + 1], 0) for i, n in enumerate(before)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *sides, (0, 0, 0)])
