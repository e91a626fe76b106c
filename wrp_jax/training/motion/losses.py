"""Losses of motion: true flow (RAFT), reconstruction (SDC-Net), census and smoothness.

Pure functions. Pictures are RGB, 0 … 255; flows ``(dx, dy)`` in pixels, on the target frame, into
the source frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from wrp_jax.models.layers import mean_pool
from wrp_jax.ops.warp import compose_flow, warp

COARSE = 4
"""Smoothness is asked for at 1/4 of the size."""
MAX_FLOW = 400.0
"""RAFT leaves longer vectors out of its loss."""


def sequence_loss(
    flows: Sequence[Float[Array, "b h w 2"]] | Float[Array, "n b h w 2"],
    truth: Float[Array, "b h w 2"],
    valid: Bool[Array, "b h w"],
    *,
    gamma: float = 0.8,
    max_flow: float = MAX_FLOW,
) -> Float[Array, ""]:
    """``Σ_i γ^(n-1-i) mean(valid · |flow_i - truth|)``.

    The mean is over all pixels and both components; invalid ones count as 0.

    Args:
      flows: a network's estimates, the last one best.
      truth: finite everywhere.
      valid: where the truth is known.
      gamma: published 0.8; 0.85 in the Sintel and KITTI stages.
      max_flow: longer true vectors are left out, pixels.

    Reference: RAFT, eq. 7; princeton-vl/RAFT, ``train.py`` (``sequence_loss``).
    """
    known = valid & (jnp.sum(truth * truth, -1) < max_flow**2)
    total = jnp.zeros(())
    for i, flow in enumerate(flows):
        error = jnp.where(known[..., None], jnp.abs(flow - truth), 0.0)
        total = total + gamma ** (len(flows) - 1 - i) * error.mean()
    return total


class Errors(NamedTuple):
    """Sums over pixels and their number, for means over any number of batches.

    Attributes:
      distance: sum of end-point errors, pixels.
      far: pixels off by more than three.
      count: pixels whose truth is known.
    """

    distance: Float[Array, ""]
    far: Float[Array, ""]
    count: Float[Array, ""]


def end_point_errors(
    flow: Float[Array, "b h w 2"], truth: Float[Array, "b h w 2"], valid: Bool[Array, "b h w"]
) -> Errors:
    """How far a flow is from the truth."""
    error = jnp.where(valid, jnp.sqrt(jnp.sum((flow - truth) ** 2, -1)), 0.0)
    far = jnp.sum(error > 3.0, dtype=jnp.float32)
    return Errors(error.sum(), far, jnp.sum(valid, dtype=jnp.float32))


class Reconstruction(NamedTuple):
    """The terms of SDC-Net's loss, each a mean of |·| and not weighted yet.

    Attributes:
      colour: of the moved source against the target; colours 0 … 1.
      gradient: of the lengths of their forward differences, x and y added; grey levels of 255.
      smoothness: of the flow's forward differences, x and y added; pixels.
    """

    colour: Float[Array, ""]
    gradient: Float[Array, ""]
    smoothness: Float[Array, ""]


def reconstruction_terms(
    target: Float[Array, "b h w 3"],
    source: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
) -> Reconstruction:
    """How well a flow fetches the target from the source, and how smooth it is; see the terms.

    Reference: NVIDIA/semantic-segmentation (branch sdcnet), ``sdcnet/models/sdc_net2d.py``.
    """
    moved, _ = warp(source, flow)
    colour = jnp.abs(moved - target).mean() / 255
    gradient, smoothness = jnp.zeros(()), jnp.zeros(())
    for axis in (1, 2):
        here, there = (jnp.abs(jnp.diff(x, axis=axis)) for x in (moved, target))
        gradient = gradient + jnp.abs(here - there).mean()
        smoothness = smoothness + jnp.abs(jnp.diff(flow, axis=axis)).mean()
    return Reconstruction(colour, gradient, smoothness)


def reconstruction_loss(
    target: Float[Array, "b h w 3"],
    source: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
) -> Float[Array, ""]:
    """SDC-Net's loss: 0.7 of colour, 0.2 of gradients, 0.1 of smoothness.

    Reference: Reda et al. 2018, section 3.3; weights of the release, as ``reconstruction_terms``.
    """
    terms = reconstruction_terms(target, source, flow)
    return 0.7 * terms.colour + 0.2 * terms.gradient + 0.1 * terms.smoothness


def census(image: Float[Array, "b h w 3"], radius: int = 3) -> Float[Array, "b h w k"]:
    """Soft signs of the differences to the neighbours: what does not change with the light.

    Args:
      image: RGB, 0 … 255.
      radius: of the patch; ``k = (2 radius + 1)²``.

    Returns:
      Each difference d of grey levels as ``d / √(0.81 + d²)``, -1 … 1; the border is repeated.

    Reference: Meister et al., "UnFlow", AAAI 2018; constants of its code (``losses.py``).
    """
    _, h, w, _ = image.shape
    grey = image @ jnp.asarray([0.299, 0.587, 0.114])
    padded = jnp.pad(grey, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    size = range(2 * radius + 1)
    near = jnp.stack([padded[:, i : i + h, j : j + w] for i in size for j in size], axis=-1)
    difference = near - grey[..., None]
    return difference / jnp.sqrt(0.81 + difference**2)


def census_error(
    first: Float[Array, "b h w k"], second: Float[Array, "b h w k"]
) -> Float[Array, "b h w"]:
    """Soft Hamming distance of two census transforms: ``mean(d² / (0.1 + d²))``, 0 … 1."""
    square = (first - second) ** 2
    return (square / (0.1 + square)).mean(-1)


def charbonnier(x: Float[Array, "*n"], power: float = 0.45) -> Float[Array, "*n"]:
    """``(x² + 0.001²)^power``: |x| made robust (Sun et al. 2010)."""
    return (x * x + 1e-6) ** power


def smoothness_loss(
    image: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
    *,
    order: int = 1,
    edge: float = 150.0,
) -> Float[Array, ""]:
    """Mean of ``exp(-edge · |∂I|) · |∂ᵒflow|`` along x and y: smooth but at the picture's edges.

    Args:
      image: RGB, 0 … 255; its gradient counts in 0 … 1.
      flow: on ``image``.
      order: 1 asks for constant, 2 for linear flow.
      edge: how quickly an edge of the picture lifts the demand.

    Reference: Jonschkowski et al., "What Matters in Unsupervised Optical Flow", ECCV 2020, eq. 4.
    """
    total = jnp.zeros(())
    for axis in (1, 2):
        change = flow
        for _ in range(order):
            change = jnp.diff(change, axis=axis)
        slope = jnp.abs(jnp.diff(image, axis=axis)).mean(-1) / 255
        if order == 2:
            # Of the two differences that a second difference spans, the stronger edge.
            slices = [
                jax.lax.slice_in_dim(slope, k, slope.shape[axis] - 1 + k, axis=axis) for k in (0, 1)
            ]
            slope = jnp.maximum(*slices)
        total = total + (jnp.exp(-edge * slope)[..., None] * charbonnier(change, 0.5)).mean()
    return total / 2


def visible(
    flow: Float[Array, "b h w 2"], reverse: Float[Array, "b h w 2"]
) -> Float[Array, "b h w"]:
    """1 where a pixel of the target can be seen in the source, else 0; no gradient.

    Seen is what comes home: ``|f + r(x + f)|² < 0.01 (|f|² + |r(x + f)|²) + 0.5``; what leads
    out of the picture is not seen.

    Reference: Sundaram et al., ECCV 2010, eq. 5; Meister et al. 2018, eq. 3.
    """
    flow, reverse = jax.lax.stop_gradient((flow, reverse))
    home, inside = compose_flow(flow, reverse)
    back = home - flow
    bound = 0.01 * (jnp.sum(flow**2, -1) + jnp.sum(back**2, -1)) + 0.5
    return (inside & (jnp.sum(home**2, -1) < bound)).astype(flow.dtype)


def unsupervised_loss(
    target: Float[Array, "b h w 3"],
    source: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
    seen: Float[Array, "b h w"],
    *,
    smoothness: float = 4.0,
    order: int = 1,
) -> Float[Array, ""]:
    """Census difference where the target is seen in the source, and edge-aware smoothness.

    Smoothness is asked for at a quarter of the size, as in the reference.

    Args:
      target: RGB, 0 … 255, sizes multiples of 4.
      source: the same.
      flow: on ``target``, into ``source``.
      seen: 0 … 1, see ``visible``.
      smoothness: weight of ``smoothness_loss``.
      order: of the smoothness.

    Reference: Jonschkowski et al. 2020, section 4; weights of google-research/uflow.
    """
    moved, _ = warp(source, flow)
    error = charbonnier(census_error(census(target), census(moved)))
    photometric = (error * seen).sum() / (seen.sum() + 1e-6)
    image, coarse = mean_pool(target, COARSE), mean_pool(flow, COARSE) / COARSE
    return photometric + smoothness * smoothness_loss(image, coarse, order=order)
