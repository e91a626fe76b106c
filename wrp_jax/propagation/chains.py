"""Lays the images' cues of a window out along its two chains, long flows included (host side)."""

from __future__ import annotations

from collections.abc import Collection

import jax
import numpy as np
from jaxtyping import Int, UInt8

from wrp_jax.models.motion import Motion
from wrp_jax.ops.warp import compose_flow, consistency_error
from wrp_jax.propagation.hypotheses import STRIDE, LongFlows, StepCues, compact
from wrp_jax.types import ClipCues

_compose = jax.jit(compose_flow)
_consistency = jax.jit(consistency_error)


def _short_flows(clip: ClipCues, source: np.ndarray, target: np.ndarray):
    """Flow of one step per chain, and the flow the other way: ``[b, h, w, 2]`` each."""
    backward, forward = np.asarray(clip.flow_backward), np.asarray(clip.flow_forward)
    still = np.zeros((*clip.images.shape[1:3], 2), np.float32)
    flow, reverse = [], []
    for s, t in zip(source, target, strict=True):
        if s == t:
            flow.append(still), reverse.append(still)
        elif t > s:
            flow.append(backward[s]), reverse.append(forward[s])
        else:
            flow.append(forward[t]), reverse.append(backward[t])
    return np.stack(flow), np.stack(reverse)


def long_flows(
    frames: UInt8[np.ndarray, "n h w 3"],
    clip: ClipCues,
    orders: Int[np.ndarray, "b steps"],
    motion: Motion,
    steps: Collection[int] | None = None,
) -> LongFlows:
    """Estimates the flows over more than one frame that the hypotheses need.

    Args:
      frames: RGB.
      clip: cues of the frames.
      orders: per chain the frames visited, the key frame first.
      motion: f_θ, given the composed flow as its first guess where that helps.
      steps: steps (from 1) at which guesses will be made; the flows of all others, which only
        the guesses read, are left at the composed flow. All steps by default.
    """
    stride, direct, fresh = [], [], []
    composed = leg = None
    for step in range(1, orders.shape[1]):
        source, target = orders[:, step - 1], orders[:, step]
        anchor = orders[:, STRIDE * ((step - 1) // STRIDE)]
        short, _ = _short_flows(clip, source, target)
        if composed is None or leg is None:
            composed = leg = short
        else:
            composed = np.asarray(_compose(short, composed)[0])
            leg = short if step % STRIDE == 1 else np.asarray(_compose(short, leg)[0])
        seen = frames[target]
        if step == 1:
            # One frame away all of them are the short flow.
            stride.append(short), direct.append(short), fresh.append(short)
            continue
        wanted = steps is None or step in steps
        if step % STRIDE == 1:
            stride.append(short)
        elif wanted or step % STRIDE == 0:
            stride.append(motion.pairs(seen, frames[anchor], initial=leg))
        else:
            stride.append(leg)
        if wanted:
            direct.append(motion.pairs(seen, frames[orders[:, 0]], initial=composed))
            fresh.append(motion.pairs(seen, frames[orders[:, 0]]))
        else:
            direct.append(composed)
            fresh.append(composed)
    return LongFlows(np.stack(stride), np.stack(direct), np.stack(fresh))


def step_cues(
    clip: ClipCues,
    long: LongFlows,
    orders: Int[np.ndarray, "b steps"],
    active: Int[np.ndarray, " c"],
) -> StepCues:
    """Cues of every step of every chain, time in front.

    Args:
      clip: cues of the frames.
      long: flows of these chains.
      orders: per chain the frames visited, the key frame first.
      active: class indices, see ``hypotheses.active_classes``.
    """
    pairs = [_short_flows(clip, s, t) for s, t in zip(orders.T[:-1], orders.T[1:], strict=True)]
    target = orders.T[1:]
    return StepCues(
        image=np.asarray(clip.images)[target],
        flow=np.stack([flow for flow, _ in pairs]),
        consistency=np.stack([np.asarray(_consistency(f, r)) for f, r in pairs]),
        stride=np.asarray(long.stride),
        direct=np.asarray(long.direct),
        fresh=np.asarray(long.fresh),
        probs=compact(np.asarray(clip.probs), active)[target],
    )
