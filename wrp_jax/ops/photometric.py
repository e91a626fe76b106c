"""Photometric error and the masks made of it (eq. 6)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.ops.warp import Extent, warp


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
    difference = target - moved
    return jnp.sqrt(jnp.sum(difference * difference, axis=-1) + 1e-12)


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
