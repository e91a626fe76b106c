"""Small linear filters over images, as sums of shifted slices (fast on a CPU, differentiable)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def box_mean(image: Float[Array, "b h w c"], radius: int) -> Float[Array, "b h w c"]:
    """Mean over the ``(2 radius + 1)²`` square around each pixel; the border value is repeated.

    Args:
      image: any range.
      radius: in pixels, 0 or more; 0 returns the image.
    """
    if radius < 0:
        raise ValueError(f"box_mean: the radius is {radius}; it must be 0 or more.")
    size = 2 * radius + 1
    for axis in (1, 2):
        pad = [(0, 0)] * 4
        pad[axis] = (radius, radius)
        padded = jnp.pad(image, pad, mode="edge")
        length = image.shape[axis]
        total = jnp.zeros_like(image)
        for k in range(size):
            index = [slice(None)] * 4
            index[axis] = slice(k, k + length)
            total = total + padded[tuple(index)]
        # A barrier: else the sum along the other axis adds all of these up again for each pixel.
        image = jax.lax.optimization_barrier(total / size)
    return image


def gradient_magnitude(image: Float[Array, "b h w c"]) -> Float[Array, "b h w"]:
    """Length of the central-difference gradient over space and channels, ``per pixel``.

    The border value is repeated, so a constant image gives 0 everywhere.
    """
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    dx = 0.5 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    dy = 0.5 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    # The offset keeps the derivative of the root finite where the image is flat.
    return jnp.sqrt(jnp.sum(dx * dx + dy * dy, axis=-1) + 1e-12)
