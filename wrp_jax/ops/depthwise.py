"""Depthwise convolutions: every channel has a kernel of its own.

On CPUs XLA takes them, and even more their gradients, for general convolutions in as many groups as
there are channels, which is an order of magnitude slower than what they are there: shifted copies
of the picture, each multiplied by one number per channel, added up.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def depthwise_conv(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k 1 c"], *, stride: int = 1
) -> Float[Array, "b _ _ c"]:
    """Cross-correlation of each channel with its kernel, zeros around as TensorFlow's ``SAME``.

    At stride 2 and even sides there is one row of zeros less above than below.

    Args:
      x: the result has its type.
      kernel: odd sides.
      stride: step along both sides; the result has ``ceil(h / stride)`` rows.
    """
    convolve = _by_taps if jax.default_backend() == "cpu" else _plain
    return convolve(x, kernel.astype(x.dtype), stride)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind a side of ``size`` pixels that TensorFlow's ``SAME`` adds."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _plain(x: Array, kernel: Array, stride: int) -> Array:
    pad = [same_padding(side, kernel.shape[0], stride) for side in x.shape[1:3]]
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )  # fmt: skip


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_taps(x: Array, kernel: Array, stride: int) -> Array:
    size = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    x = _padded(x, kernel.shape[0], stride)
    k = range(kernel.shape[0])
    return _sum(_under(x, i, j, size, stride) * kernel[i, j, 0] for i in k for j in k)


def _forward(x: Array, kernel: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return _by_taps(x, kernel, stride), (x, kernel)


def _backward(stride: int, inputs: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = inputs
    return (
        _input_gradient(kernel, cotangent, (x.shape[1], x.shape[2]), stride),
        _kernel_gradient(x, cotangent, kernel.shape[0], stride).astype(kernel.dtype),
    )


_by_taps.defvjp(_forward, _backward)


def _input_gradient(
    kernel: Array, cotangent: Array, size: tuple[int, int], stride: int
) -> Float[Array, "b h w c"]:
    """Each of the ``stride²`` grids of input pixels has seen some of the taps; they interleave."""
    k, (height, width) = kernel.shape[0], size
    above, beside = (same_padding(side, k, stride)[0] for side in size)
    rows, columns = -(-height // stride), -(-width // stride)
    reach = k // stride + 1  # results before the first and behind the last that a pixel is seen by
    wide = jnp.pad(cotangent, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    grids = []
    for p in range(stride):
        for q in range(stride):
            taps = []
            for i in range((p + above) % stride, k, stride):
                for j in range((q + beside) % stride, k, stride):
                    # Input row stride * n + p lies under tap i of result n + (p + above - i) / s.
                    y, x = (p + above - i) // stride + reach, (q + beside - j) // stride + reach
                    taps.append(wide[:, y : y + rows, x : x + columns] * kernel[i, j, 0])
            grids.append(_sum(taps))
    if stride == 1:
        return grids[0]
    b, c = cotangent.shape[0], cotangent.shape[-1]
    lines = [jnp.stack(grids[p * stride : (p + 1) * stride], axis=3) for p in range(stride)]
    whole = jnp.stack(lines, axis=2).reshape(b, rows * stride, columns * stride, c)
    return whole[:, :height, :width]


# Compiled once per shape also where the network around it is not compiled as a whole.
@functools.partial(jax.jit, static_argnames=("k", "stride"))
def _kernel_gradient(x: Array, cotangent: Array, k: int, stride: int) -> Float[Array, "k k 1 c"]:
    """Row by row, so that what the taps multiply stays in the cache, and without a sum inside."""
    images, rows, columns, c = cotangent.shape
    x = _padded(x, k, stride)
    precise = jnp.promote_types(x.dtype, jnp.float32)

    def add_row(step: Array, totals: tuple[Array, ...]) -> tuple[Array, ...]:
        image, row = step // rows, step % rows
        deltas = jax.lax.dynamic_slice(cotangent, (image, row, 0, 0), (1, 1, columns, c))
        start, size = (image, row * stride, 0, 0), (1, k, x.shape[2], c)
        lines = jax.lax.dynamic_slice(x, start, size).astype(precise)
        seen = [_under(lines, i, j, (1, columns), stride) for i in range(k) for j in range(k)]
        return tuple(t + (s * deltas)[0, 0] for t, s in zip(totals, seen, strict=True))

    zeros = (jnp.zeros((columns, c), precise),) * k**2
    totals = jax.lax.fori_loop(0, images * rows, add_row, zeros)
    return jnp.stack([total.sum(0) for total in totals]).reshape(k, k, 1, c)


def _padded(x: Array, k: int, stride: int) -> Array:
    sides = [same_padding(side, k, stride) for side in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *sides, (0, 0)))


def _under(x: Array, i: int, j: int, size: tuple[int, int], stride: int) -> Array:
    """The padded pixels that lie under tap ``(i, j)``, for a result of this size."""
    rows, columns = (stride * (n - 1) + 1 for n in size)
    return x[:, i : i + rows : stride, j : j + columns : stride]


def _sum(parts: Iterable[Any]) -> Array:
    return functools.reduce(operator.add, parts)
