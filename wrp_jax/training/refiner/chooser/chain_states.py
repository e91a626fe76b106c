"""Chains of hypotheses over a whole clip, stopped at some of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from wrp_jax.propagation.chooser.chains import step_cues
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    LongFlows,
    StepCues,
    active_classes,
    advance,
    init_carry,
    places_of,
)
from wrp_jax.types import ClipCues

_advance = jax.jit(advance)


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
        """Class indices that the chain carries, -1 where it carries none."""
        return self.active[np.asarray(jnp.argmax(self.carry.chain, axis=-1))]


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
    cues = step_cues(clip, long, orders, active)
    b, key = len(orders), int(orders[0, 0])
    label = np.stack([places_of(key_label, active)] * b)
    image = np.stack([np.asarray(clip.images[key])] * b)
    carry = init_carry(jnp.asarray(image), jnp.asarray(label), len(active))
    for t in range(orders.shape[1] - 1):
        now = jax.tree.map(lambda a, t=t: jnp.asarray(a[t]), cues)
        carry = _advance(carry, now)
        if t + 1 in steps:
            yield ChainState(t + 1, active, carry, now)
