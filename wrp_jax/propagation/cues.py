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
from wrp_jax.ops.pixels import unit_range
from wrp_jax.ops.warp import Extent, consistency_error, inside
from wrp_jax.types import Clip, ClipCues, Cues, Motion, Segment


def clip_cues(
    clip: Clip, motion: Motion, segment: Segment | None, start: int = 0, stop: int | None = None
) -> ClipCues:
    """Everything that images alone say about a clip, or about a section of it. Host arrays.

    Args:
      clip: the frames; networks may look at those outside the section, too.
      motion: f_θ, run on every pair of neighbours, in both directions of time; not asked where
        there is a single frame.
      segment: g_ψ, or None: ``probs`` and ``features`` then have no channels.
      start: the section's first frame.
      stop: the frame after its last one; by default it reaches to the end of the clip.
    """
    section = range(clip.count)[start:stop]
    frames = clip.stack(section)
    n, h, w, _ = frames.shape
    backward = forward = np.zeros((0, h, w, 2), np.float32)
    if n > 1:
        backward = motion(clip, section[1:], section[:-1])
        forward = motion(clip, section[:-1], section[1:])
    if segment is None:
        probs, features = np.zeros((n, h, w, 0), np.float32), np.zeros((n, 1, 1, 0), np.float32)
    else:
        probs, features = segment(clip, section)
    return ClipCues(
        frames=frames,
        flow_backward=backward,
        flow_forward=forward,
        probs=probs,
        features=features,
    )


class ChainInputs(NamedTuple):
    """A clip laid out along B chains of T steps: what ``derive`` computes ``Cues`` from.

    Attributes:
      frames: the T+1 frames visited, RGB.
      flow: target → source, for each step.
      reverse: source → target; empty where nobody asks whether flow leads back.
      probs, features: on the target frame.
      active: 1, or 0 for padded steps.
      direct: target → labelled frame, for each step; None where no carrier asks.
    """

    frames: UInt8[Any, "t+1 b h w 3"]
    flow: Float[Any, "t b h w 2"]
    reverse: Float[Any, "t b rh rw 2"]
    probs: Float[Any, "t b h w c"]
    features: Float[Any, "t b fh fw f"]
    active: Float[Any, "t b"]
    direct: Float[Any, "t b h w 2"] | None = None


def chain_flows(
    clip: ClipCues, orders: Int[np.ndarray, "b frames"]
) -> tuple[Float[Any, "t b h w 2"], Float[Any, "t b h w 2"]]:
    """The flow of every step of some chains, target → source, and the flow the other way.

    Args:
      clip: cues of N frames; arrays of the host or of the device, and so is the result.
      orders: as in ``chain_cues``.
    """
    if isinstance(clip.flow_backward, np.ndarray):
        return _pick(clip, orders), _pick(clip, orders, reverse=True)
    orders = np.asarray(orders).T
    source, target = orders[:-1], orders[1:]
    n, h, w, _ = clip.frames.shape
    if n == 1:
        still = jnp.zeros((*target.shape, h, w, 2), clip.flow_backward.dtype)
        return still, still
    pair = np.clip(np.minimum(source, target), 0, n - 2)
    ahead, stays = (m[..., None, None, None] for m in (target > source, target == source))
    backward, forward = clip.flow_backward[pair], clip.flow_forward[pair]
    flow = jnp.where(stays, 0, jnp.where(ahead, backward, forward))
    return flow, jnp.where(stays, 0, jnp.where(ahead, forward, backward))


def _pick(
    clip: ClipCues, orders: Int[np.ndarray, "b frames"], *, reverse: bool = False
) -> Float[np.ndarray, "t b h w 2"]:
    """One of the ``chain_flows`` on the host: each flow is copied once, and no other is read."""
    orders = np.asarray(orders).T
    source, target = orders[:-1], orders[1:]
    flow = np.zeros((*target.shape, *clip.frames.shape[1:3], 2), clip.flow_backward.dtype)
    for place in zip(*np.nonzero(target != source), strict=True):
        pair, ahead = min(source[place], target[place]), target[place] > source[place]
        flow[place] = (clip.flow_backward if ahead != reverse else clip.flow_forward)[pair]
    return flow


def lay_out(
    clip: ClipCues, orders: Int[np.ndarray, "b frames"], *, reverse: bool = True
) -> ChainInputs:
    """Gathers what chains of steps need: on the host for host arrays, else on the device.

    Args:
      clip: cues of N frames.
      orders: as in ``chain_cues``.
      reverse: False, for host arrays: nobody asks whether flow leads back, and the flows that say
        so need not be there.
    """
    orders = np.asarray(orders)
    if reverse:
        flow, back = chain_flows(clip, orders)
    else:
        flow = _pick(clip, orders)
        back = np.zeros((*flow.shape[:2], 0, 0, 2), flow.dtype)
    orders = orders.T
    source, target = orders[:-1], orders[1:]
    xp = np if isinstance(flow, np.ndarray) else jnp
    return ChainInputs(
        frames=clip.frames[orders],
        flow=flow,
        reverse=back,
        probs=clip.probs[target],
        features=clip.features[target],
        active=xp.asarray(target != source, flow.dtype),
    )


def derive(chain: ChainInputs, extent: Extent = None) -> Cues:
    """The cues of every step: images, validity, photometric error (eq. 6), consistency.

    Args:
      chain: laid out; consistency is 0 where it has no ``reverse`` flows.
      extent: of the frames.
    """
    t, b, h, w, _ = chain.flow.shape

    def flat(x: Array) -> Array:
        return x.reshape(t * b, *x.shape[2:])

    flow, reverse = flat(chain.flow), flat(chain.reverse)
    images = unit_range(jnp.asarray(chain.frames), chain.flow.dtype)
    photometric = photometric_error(flat(images[1:]), flat(images[:-1]), flow, extent)
    consistency = (
        consistency_error(flow, reverse, extent) if reverse.size else jnp.zeros_like(flow[..., 0])
    )
    return Cues(
        image=images[1:],
        flow=chain.flow,
        valid=inside(flow, extent).reshape(t, b, h, w).astype(images.dtype),
        photometric=photometric.reshape(t, b, h, w),
        consistency=consistency.reshape(t, b, h, w),
        probs=chain.probs,
        features=chain.features,
        active=chain.active,
        direct=chain.direct,
    )


def chain_cues(clip: ClipCues, orders: Int[np.ndarray, "b frames"]) -> Cues:
    """Cues along chains of steps.

    Pure, and differentiable in every array of ``clip`` but the frames.

    Args:
      clip: cues of N frames.
      orders: per chain the frames visited, T+1 of them, known when tracing; entries that follow
        one another differ by one, or are equal, which marks a padded step. ``t … t+l … t`` is
        the cycle of eq. 9-12.

    Returns:
      Cues of T steps for B chains.
    """
    return derive(jax.tree.map(jnp.asarray, lay_out(clip, orders)))
