"""Bilinear resizing on half-pixel centres: pixel ``i`` covers ``[i, i+1)``, as in OpenCV, and in
PyTorch with ``align_corners=False``.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def resize(
    images: Float[Array, "b h w c"], size: tuple[int, int], *, antialias: bool = False
) -> Float[Array, "b new_h new_w c"]:
    """Resizes images, logits, features or distributions bilinearly.

    Args:
      images: any range; the result stays within it, and a distribution stays one.
      size: new height and width in pixels.
      antialias: when shrinking, average over all source pixels that a new pixel covers instead
        of interpolating between four of them.
    """
    b, height, width, c = images.shape
    if (height, width) == tuple(size):
        return images
    if antialias:
        return jax.image.resize(images, (b, *size, c), method="bilinear")
    return _bilinear(images, images.shape, tuple(size))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _bilinear(images: Array, shape: tuple[int, ...], size: tuple[int, int]) -> Array:
    del shape  # for the way back, which needs nothing else of the images
    if jax.default_backend() != "cpu":
        return _by_products(images, size)
    # On CPUs four times as fast as the products.
    return _between_neighbours(_between_neighbours(images, 1, size[0]), 2, size[1])


def _forward(
    images: Array, shape: tuple[int, ...], size: tuple[int, int]
) -> tuple[Array, tuple[()]]:
    return _bilinear(images, shape, size), ()


def _backward(
    shape: tuple[int, ...], size: tuple[int, int], nothing: tuple[()], cotangent: Array
) -> tuple[Array]:
    del nothing
    # The gradient of a gather is a scatter, slow everywhere; that of a product is a product.
    images = jax.ShapeDtypeStruct(shape, cotangent.dtype)
    transposed = jax.linear_transpose(lambda x: _by_products(x, size), images)
    return tuple(transposed(cotangent))


_bilinear.defvjp(_forward, _backward)


def _centres(old: int, new: int) -> np.ndarray:
    """Where new pixels lie among old ones along one side, edges repeated; float64."""
    return np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)


def _between_neighbours(x: Array, axis: int, new: int) -> Array:
    old = x.shape[axis]
    centres = _centres(old, new)
    below = np.floor(centres).astype(np.int32)
    share = np.expand_dims(centres - below, tuple(i for i in range(x.ndim) if i != axis))
    low, high = (
        jnp.take(x, index, axis=axis, mode="clip") for index in (below, np.minimum(below + 1, old))
    )
    return low + jnp.asarray(share, x.dtype) * (high - low)


def _by_products(x: Array, size: tuple[int, int]) -> Array:
    rows, columns = (
        jnp.maximum(0, 1 - jnp.abs(_centres(old, new).astype(np.float32)[:, None] - np.arange(old)))
        for old, new in zip(x.shape[1:3], size, strict=True)
    )
    rows, columns = rows.astype(x.dtype), columns.astype(x.dtype)
    return jnp.einsum("oh,pw,bhwc->bopc", rows, columns, x, precision="highest")
