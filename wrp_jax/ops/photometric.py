"""Photometric error and the masks made of it (eq. 6)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.ops.filters import box_mean
from wrp_jax.ops.warp import Extent, inside, warp


def photometric_error(
    target: Float[Array, "b h w 3"],
    source: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
    extent: Extent = None,
) -> Float[Array, "b h w"]:
    """``‖I_k − φ(I_{k−1})‖₂`` over the RGB channels, each 0 … 1, so 0 … √3 (eq. 6).

    As printed, eq. 6 warps ``I_t``; the text (and the map's own indices) mean ``I_{k−1}``,
    which is what is warped here.
    """
    moved, _ = warp(source, flow, extent)
    # Channel by channel: XLA's sum over an axis of three takes twice as long on a CPU.
    red, green, blue = jnp.moveaxis(target - jax.lax.optimization_barrier(moved), -1, 0)
    return jnp.sqrt(red * red + green * green + blue * blue + 1e-12)


def patch_error(
    target: Float[Array, "b h w 3"],
    source: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
    radius: int,
    extent: Extent = None,
) -> Float[Array, "b h w"]:
    """Mean of ``photometric_error`` over the square around each pixel, as far as that is inside.

    Args:
      target: image, RGB, 0 … 1.
      source: the same, of the frame that the flow leads into.
      flow: on the target frame.
      radius: half side of the square in pixels.
      extent: of the frames.

    Returns:
      0 … √3; infinite where the flow is not finite or leads out of the frame.
    """
    height, width = extent or target.shape[1:3]
    rows, columns = jnp.arange(target.shape[1]), jnp.arange(target.shape[2])
    here = ((rows < height)[:, None] & (columns < width)).astype(target.dtype)[None]

    def mean(values: Array) -> Array:
        sides = ((0, 0), (radius, radius), (radius, radius), (0, 0))
        wide = box_mean(jnp.pad(values[..., None], sides), radius)
        return wide[:, radius : radius + values.shape[1], radius : radius + values.shape[2], 0]

    error = photometric_error(target, source, flow, extent)
    # A barrier: else the mean computes the error of each pixel anew for each of its neighbours.
    error = jax.lax.optimization_barrier(jnp.where(here > 0, jnp.nan_to_num(error), 0.0))
    return jnp.where(inside(flow, extent), mean(error) / jnp.maximum(mean(here), 1e-6), jnp.inf)


def trust_mask(
    photometric: Float[Array, "*b h w"],
    valid: Float[Array, "*b h w"],
    tau: float | Float[Array, ""],
    *,
    softness: float = 0.0,
) -> Float[Array, "*b h w"]:
    """M of eq. 6: 1 where motion is trusted, 0 where segmentation takes over.

    Args:
      photometric: error of eq. 6.
      valid: 1 where the source lies inside the picture; 0 is never trusted.
      tau: threshold τ, in units of the RGB L2 norm with channels 0 … 1.
      softness: 0 for the indicator function; else the width of a sigmoid, in the units of
        τ, through which τ receives a gradient.
    """
    if softness:
        mask = jax.nn.sigmoid((tau - photometric) / softness)
    else:
        mask = (photometric < tau).astype(photometric.dtype)
    return mask * valid
