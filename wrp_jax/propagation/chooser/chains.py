"""Lays the cues of a window out along its two chains, long flows included (host side)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from wrp_jax.ops.warp import compose_flow
from wrp_jax.propagation.chooser.hypotheses import STRIDE, LongFlows, StepCues, compact
from wrp_jax.propagation.cues import ChainInputs, chain_flows, derive
from wrp_jax.propagation.window_cues import WindowCues, window_chain
from wrp_jax.types import Clip, ClipCues, Motion, Positions

_compose = jax.jit(compose_flow)


class LongFlowWalk:
    """Flows over more than one frame, step by step along chains."""

    def __init__(self, clip: Clip, key: Positions, motion: Motion):
        """Starts on the labelled frame of every chain.

        Args:
          clip: the frames.
          key: position of the labelled frame, once for each chain.
          motion: f_θ, given the composed flow as its first guess where that helps.
        """
        self._clip, self._motion, self._step = clip, motion, 0
        self._key = self._anchor = self._seen = key

    def advance(
        self, seen: Positions, short: Float[np.ndarray, "b h w 2"], wanted: bool = True
    ) -> LongFlows:
        """Flows of the next step.

        Args:
          seen: positions of the frames that it leads to.
          short: flow of one step, on these frames.
          wanted: whether guesses will be made here; if not, the flows that only they read are
            left at the composed flow.

        Returns:
          ``LongFlows`` without the time axis. Those of a chain that stands still at its end are
          left at the composed flow: nobody asks about it any more.
        """
        self._step += 1
        walks = np.asarray(seen) != np.asarray(self._seen)
        self._seen = seen
        first = self._step == 1
        starts = self._step % STRIDE == 1
        self._composed = short if first else np.asarray(_compose(short, self._composed)[0])
        self._leg = short if starts else np.asarray(_compose(short, self._leg)[0])
        if first:
            # One frame away all of them are the short flow.
            return LongFlows(short, short, short)
        stride = self._leg
        if not starts and (wanted or self._step % STRIDE == 0):
            stride = self._estimate(walks, seen, self._anchor, self._leg, self._leg)
        if self._step % STRIDE == 0:
            self._anchor = seen
        if not wanted:
            return LongFlows(stride, self._composed, self._composed)
        direct = self._estimate(walks, seen, self._key, self._composed, self._composed)
        return LongFlows(stride, direct, self._estimate(walks, seen, self._key, self._composed))

    def _estimate(
        self,
        walks: Bool[np.ndarray, " b"],
        seen: Positions,
        source: Positions,
        otherwise: Float[np.ndarray, "b h w 2"],
        initial: Float[np.ndarray, "b h w 2"] | None = None,
    ) -> Float[np.ndarray, "b h w 2"]:
        """Flow of the chains that walk, and ``otherwise`` of those that stand still."""
        if not walks.any():
            return otherwise
        flow = np.array(otherwise)
        first = None if initial is None else initial[walks]
        seen, source = np.asarray(seen)[walks], np.asarray(source)[walks]
        flow[walks] = self._motion(self._clip, seen, source, initial=first)
        return flow


def long_flows(
    clip: Clip,
    cues: ClipCues,
    orders: Int[np.ndarray, "b steps"],
    motion: Motion,
    steps: Collection[int] | None = None,
) -> LongFlows:
    """Estimates the flows over more than one frame that the hypotheses need.

    Args:
      clip: the frames.
      cues: of the frames.
      orders: per chain the frames visited, the key frame first.
      motion: f_θ.
      steps: steps (from 1) at which guesses will be made, see ``LongFlowWalk.advance``. All
        steps by default.
    """
    walk = LongFlowWalk(clip, orders[:, 0], motion)
    short, _ = chain_flows(cues, orders)
    parts = [
        walk.advance(orders[:, step], np.asarray(flow), steps is None or step in steps)
        for step, flow in enumerate(short, 1)
    ]
    return LongFlows(*(np.stack(flows) for flows in zip(*parts, strict=True)))


def active_only(chain: ChainInputs, active: Int[np.ndarray, " c"]) -> ChainInputs:
    """What a chooser reads of a chain: the active classes alone, and no features. Host arrays.

    Args:
      chain: laid out over all classes.
      active: class indices, see ``hypotheses.active_classes``.
    """
    probs = compact(np.asarray(chain.probs), active)
    return chain._replace(probs=probs, features=chain.features[..., :0])


def step_cues(chain: ChainInputs, long: LongFlows) -> StepCues:
    """Cues of a chain's only step, without the time axis. Pure.

    Args:
      chain: of one step, over the active classes.
      long: its flows, without the time axis.
    """
    return StepCues(jax.tree.map(lambda a: a[0], derive(chain)), long)


def walk_chain(
    cues: WindowCues,
    orders: Int[np.ndarray, "b steps"],
    active: Int[np.ndarray, " c"],
    motion: Motion,
) -> Iterator[tuple[ChainInputs, LongFlows]]:
    """What ``step_cues`` takes, one step at a time and from two frames per chain. Host arrays.

    Args:
      cues: of the window.
      orders: per chain the frames visited, the key frame first.
      active: class indices, see ``hypotheses.active_classes``.
      motion: f_θ.
    """
    walk = LongFlowWalk(cues.clip, orders[:, 0], motion)
    for step in range(1, orders.shape[1]):
        chain = active_only(window_chain(cues, orders[:, step - 1 : step + 1]), active)
        yield chain, walk.advance(orders[:, step], chain.flow[0])
