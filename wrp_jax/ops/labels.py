"""Label maps and distributions over classes.

A label map holds class indices, int ``[b, h, w]``; a distribution is float ``[b, h, w, c]``, is
not negative and sums to one over ``c``.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Integer


def one_hot(
    labels: Integer[Array, "*b h w"], num_classes: int, dtype: Any = jnp.float32
) -> Float[Array, "*b h w c"]:
    """Certain distributions: 1 for the class of each pixel, 0 for the others.

    Args:
      labels: class indices; one outside ``0 … num_classes-1`` (``UNLABELLED``) gives zeros.
      num_classes: number of channels made.
      dtype: of the result.
    """
    return (labels[..., None] == jnp.arange(num_classes, dtype=labels.dtype)).astype(dtype)


def decide(
    probs: Float[Array, "*b h w c"],
) -> tuple[Integer[Array, "*b h w"], Float[Array, "*b h w"]]:
    """The most likely class and its probability. A tie goes to the smallest class index."""
    return jnp.argmax(probs, axis=-1).astype(jnp.int32), jnp.max(probs, axis=-1)
