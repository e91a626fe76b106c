"""Chains of hypotheses over a whole clip, stopped at some of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from wrp_jax.propagation.chooser.chains import active_only, step_cues
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    LongFlows,
    StepCues,
    active_classes,
    active_indices,
    advance,
    init_carry,
)
from wrp_jax.propagation.cues import ChainInputs, lay_out
from wrp_jax.types import ClipCues

_init_carry = jax.jit(init_carry, static_argnames="num_classes")


@jax.jit
def _advance(carry: Carry, chain: ChainInputs, long: LongFlows) -> tuple[Carry, StepCues]:
    """The next step of a chain."""
    now = step_cues(chain, long)
    return advance(carry, now), now


class ChainState(NamedTuple):
    """A chain at one of its steps.

    Attributes:
      step: counted from 1.
      active: active classes, see ``hypotheses.active_classes``.
      carry: at the frame that the step leads to.
      cues: of the step.
    """

    step: int
    active: Int[np.ndarray, " places"]
    carry: Carry
    cues: StepCues

    def labels(self) -> Int[np.ndarray, "b h w"]:
        """Class indices of the labels carried step by step, -1 where there are none."""
        return self.active[np.asarray(jnp.argmax(self.carry.stepwise, axis=-1))]


def chain_states(
    clip: ClipCues,
    long: LongFlows,
    orders: Int[np.ndarray, "b steps"],
    key_label: Int[np.ndarray, "h w"],
    steps: frozenset[int],
) -> Iterator[ChainState]:
    """Runs chains and stops at some of their steps.

    Args:
      clip: cues; ``probs`` are read at the frames of these steps only.
      long: flows of these chains.
      orders: frames visited, the key frame first.
      key_label: class indices of the key frame.
      steps: where to stop, counted from 1.
    """
    active = active_classes(key_label, clip.probs)
    label = np.stack([active_indices(key_label, active)] * len(orders))
    carry = _init_carry(clip.frames[orders[:, 0]], label, num_classes=len(active))
    clip = clip._replace(features=clip.features[..., :0])  # no hypothesis reads them
    for t in range(orders.shape[1] - 1):
        chain = active_only(lay_out(clip, orders[:, t : t + 2]), active)
        carry, now = _advance(carry, chain, jax.tree.map(lambda a, t=t: a[t], long))
        if t + 1 in steps:
            yield ChainState(t + 1, active, carry, now)
