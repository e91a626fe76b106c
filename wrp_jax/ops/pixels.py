"""Pixels of 8 bits as numbers in 0 … 1."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8


def unit_range(frames: UInt8[Array, "*s"], dtype: Any = jnp.float32) -> Float[Array, "*s"]:
    """``frames / 255``, in a compiled program the same to the last bit as on the host.

    XLA turns a division by a constant into a multiplication, which is off by a bit for half of
    the values. In base 256, however, x / 255 is 0.xxx…: three digits fill a float32, the next two
    decide how the sum is rounded, and both terms are exact.

    Args:
      frames: channels of 8 bits.
      dtype: of the result; numbers are rounded to float32 first.
    """
    wide = frames.astype(jnp.int32)
    digits, rest = (wide * repeated for repeated in (0x010101, 0x0101))
    total = digits.astype(jnp.float32) * 2.0**-24 + rest.astype(jnp.float32) * 2.0**-40
    return total.astype(dtype)
