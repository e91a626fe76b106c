"""What f_θ and g_ψ say, computed once per clip and laid out along chains of steps.

Both see images only, so they run batched over time, outside the scan (see ``types.py`` for the
values). ``clip_cues`` runs on the host; ``chain_cues`` is pure and differentiable.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from wrp_jax.ops.photometric import photometric_error
from wrp_jax.ops.warp import consistency_error, inside
from wrp_jax.types import ClipCues, Cues, Motion, Segment


def clip_cues(
    frames: UInt8[np.ndarray, "n h w 3"], motion: Motion, segment: Segment | None
) -> ClipCues:
    """Everything that images alone say about a clip. Host arrays.

    Args:
      frames: consecutive frames, RGB.
      motion: f_θ, run on every pair of neighbours, in both directions of time; not asked where
        there is a single frame.
      segment: g_ψ, or None: ``probs`` and ``features`` then have no channels.
    """
    n, h, w, _ = frames.shape
    backward = forward = np.zeros((0, h, w, 2), np.float32)
    if n > 1:
        backward = motion.pairs(frames[1:], frames[:-1])
        forward = motion.pairs(frames[:-1], frames[1:])
    if segment is None:
        probs, features = np.zeros((n, h, w, 0), np.float32), np.zeros((n, 1, 1, 0), np.float32)
    else:
        probs, features = segment(frames)
    return ClipCues(
        images=(frames.astype(np.float32) / 255.0),
        flow_backward=backward,
        flow_forward=forward,
        probs=probs,
        features=features,
    )


class Chain(NamedTuple):
    """A clip laid out along B chains of T steps; ``Cues`` before anything is computed.

    Attributes:
      images: of the T+1 frames visited, RGB, 0 … 1.
      flow: target → source, for each step.
      reverse: source → target.
      probs, features: on the target frame.
      active: 1, or 0 for padded steps.
    """

    images: Float[Any, "t+1 b h w 3"]
    flow: Float[Any, "t b h w 2"]
    reverse: Float[Any, "t b h w 2"]
    probs: Float[Any, "t b h w c"]
    features: Float[Any, "t b fh fw f"]
    active: Float[Any, "t b"]


def lay_out(clip: ClipCues, orders: Int[np.ndarray, "b frames"]) -> Chain:
    """Gathers what chains of steps need: on the host for host arrays, else on the device.

    Args:
      clip: cues of N frames.
      orders: as in ``chain_cues``.
    """
    orders = np.asarray(orders).T
    source, target = orders[:-1], orders[1:]
    n, h, w, _ = clip.images.shape
    xp = np if isinstance(clip.images, np.ndarray) else jnp
    if n > 1:
        pair = np.clip(np.minimum(source, target), 0, n - 2)
        ahead, stays = (m[..., None, None, None] for m in (target > source, target == source))
        backward, forward = clip.flow_backward[pair], clip.flow_forward[pair]
        flow = xp.where(stays, 0, xp.where(ahead, backward, forward))
        reverse = xp.where(stays, 0, xp.where(ahead, forward, backward))
    else:
        flow = reverse = xp.zeros((*target.shape, h, w, 2), clip.images.dtype)
    return Chain(
        images=clip.images[orders],
        flow=flow,
        reverse=reverse,
        probs=clip.probs[target],
        features=clip.features[target],
        active=xp.asarray(target != source, clip.images.dtype),
    )


def derive(chain: Chain) -> Cues:
    """Computes the cues of every step: validity, photometric error (eq. 6), consistency."""
    t, b, h, w, _ = chain.flow.shape

    def flat(x: Array) -> Array:
        return x.reshape(t * b, *x.shape[2:])

    flow, reverse = flat(chain.flow), flat(chain.reverse)
    images = jnp.asarray(chain.images)
    photometric = photometric_error(flat(images[1:]), flat(images[:-1]), flow)
    return Cues(
        image=images[1:],
        flow=chain.flow,
        valid=inside(flow).reshape(t, b, h, w).astype(images.dtype),
        photometric=photometric.reshape(t, b, h, w),
        consistency=consistency_error(flow, reverse).reshape(t, b, h, w),
        probs=chain.probs,
        features=chain.features,
        active=chain.active,
    )


def chain_cues(clip: ClipCues, orders: Int[np.ndarray, "b frames"]) -> Cues:
    """Cues along chains of steps. Pure and differentiable in every array of ``clip``.

    Args:
      clip: cues of N frames.
      orders: per chain the frames visited, T+1 of them, known when tracing; entries that follow
        one another differ by one, or are equal, which marks a padded step. ``t … t+l … t`` is
        the cycle of eq. 9-12.

    Returns:
      Cues of T steps for B chains.
    """
    return derive(jax.tree.map(jnp.asarray, lay_out(clip, orders)))
