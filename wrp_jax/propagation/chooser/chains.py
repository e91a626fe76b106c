"""Lays the images' cues of a window out along its two chains, long flows included (host side)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from wrp_jax.ops.warp import compose_flow, consistency_error
from wrp_jax.propagation.chooser.hypotheses import STRIDE, LongFlows, StepCues, compact
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.types import ClipCues, Motion

_compose = jax.jit(compose_flow)
_consistency = jax.jit(consistency_error)


def _short_flows(clip: ClipCues, source: np.ndarray, target: np.ndarray):
    """Flow of one step per chain, and the flow the other way: ``[b, h, w, 2]`` each."""
    backward, forward = np.asarray(clip.flow_backward), np.asarray(clip.flow_forward)
    still = np.zeros((*clip.images.shape[1:3], 2), np.float32)
    flow, reverse = [], []
    for s, t in zip(source, target, strict=True):
        if s == t:
            flow.append(still)
            reverse.append(still)
        elif t > s:
            flow.append(backward[s])
            reverse.append(forward[s])
        else:
            flow.append(forward[t])
            reverse.append(backward[t])
    return np.stack(flow), np.stack(reverse)


class LongFlowWalk:
    """Flows over more than one frame, step by step along chains; keeps a few frames only."""

    def __init__(self, key: UInt8[np.ndarray, "b h w 3"], motion: Motion):
        """Starts on the labelled frame of every chain.

        Args:
          key: RGB.
          motion: f_θ, given the composed flow as its first guess where that helps.
        """
        self._key = self._anchor = key
        self._motion, self._step = motion, 0
        self._composed = self._leg = np.zeros((*key.shape[:3], 2), np.float32)

    def advance(
        self,
        seen: UInt8[np.ndarray, "b h w 3"],
        short: Float[np.ndarray, "b h w 2"],
        wanted: bool = True,
    ) -> LongFlows:
        """Flows of the next step.

        Args:
          seen: the frames that it leads to, RGB.
          short: flow of one step, on ``seen``.
          wanted: whether guesses will be made here; if not, the flows that only they read are
            left at the composed flow.

        Returns:
          ``LongFlows`` without the time axis.
        """
        self._step += 1
        pairs, first = self._motion.pairs, self._step == 1
        starts = self._step % STRIDE == 1
        self._composed = short if first else np.asarray(_compose(short, self._composed)[0])
        self._leg = short if starts else np.asarray(_compose(short, self._leg)[0])
        if first:
            # One frame away all of them are the short flow.
            return LongFlows(short, short, short)
        stride = self._leg
        if not starts and (wanted or self._step % STRIDE == 0):
            stride = pairs(seen, self._anchor, initial=self._leg)
        if self._step % STRIDE == 0:
            self._anchor = seen
        if not wanted:
            return LongFlows(stride, self._composed, self._composed)
        direct = pairs(seen, self._key, initial=self._composed)
        return LongFlows(stride, direct, pairs(seen, self._key))


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
      motion: f_θ.
      steps: steps (from 1) at which guesses will be made, see ``LongFlowWalk.advance``. All
        steps by default.
    """
    walk = LongFlowWalk(frames[orders[:, 0]], motion)
    parts = [
        walk.advance(frames[t], _short_flows(clip, s, t)[0], steps is None or step in steps)
        for step, (s, t) in enumerate(zip(orders.T[:-1], orders.T[1:], strict=True), 1)
    ]
    return LongFlows(*(np.stack(flows) for flows in zip(*parts, strict=True)))


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


def walk_cues(
    cues: WindowCues,
    orders: Int[np.ndarray, "b steps"],
    active: Int[np.ndarray, " c"],
    motion: Motion,
) -> Iterator[StepCues]:
    """``step_cues`` with its ``long_flows``, one step at a time and from two frames per chain.

    Args:
      cues: of the window.
      orders: per chain the frames visited, the key frame first.
      active: class indices, see ``hypotheses.active_classes``.
      motion: f_θ.

    Yields:
      Cues of a step, without the time axis.
    """
    walk = LongFlowWalk(_pictures(cues, orders[:, 0]), motion)
    for sources, targets in zip(orders.T[:-1], orders.T[1:], strict=True):
        flow, reverse, image, probs = [], [], [], []
        for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
            first = min(source, target)
            clip = cues.section(first, max(source, target) + 1)
            here = np.array([source - first]), np.array([target - first])
            both = _short_flows(clip, *here)
            flow.append(both[0][0])
            reverse.append(both[1][0])
            image.append(clip.images[target - first])
            probs.append(compact(np.asarray(clip.probs[target - first]), active))
        short, images = np.stack(flow), np.stack(image)
        long = walk.advance(_as_bytes(images), short)
        yield StepCues(
            image=images,
            flow=short,
            consistency=np.asarray(_consistency(short, np.stack(reverse))),
            stride=np.asarray(long.stride),
            direct=np.asarray(long.direct),
            fresh=np.asarray(long.fresh),
            probs=np.stack(probs),
        )


def _pictures(cues: WindowCues, frames: Int[np.ndarray, " b"]) -> UInt8[np.ndarray, "b h w 3"]:
    images = [cues.section(f, f + 1, semantics=False).images[0] for f in frames.tolist()]
    return _as_bytes(np.stack(images))


def _as_bytes(images: np.ndarray) -> np.ndarray:
    return np.round(images * 255.0).astype(np.uint8)
