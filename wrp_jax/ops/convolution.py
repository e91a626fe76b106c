"""Cross-correlation as PyTorch defines it: symmetric, explicit zero padding (``"SAME"`` differs at
stride 2). On CPUs the slow cases of XLA are written as matrix products.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


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
    kh, kw = kernel.shape[:2]
    kernel = kernel.astype(x.dtype)
    if kh == kw == 1:
        # A matrix product: on CPUs the gradient of a 1x1 convolution is ten times slower.
        y = jnp.dot(x[:, ::stride, ::stride], kernel[0, 0])
    else:
        pad = ((kh // 2, kh // 2), (kw // 2, kw // 2))
        y = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    return y if bias is None else y + bias.astype(x.dtype)
