"""Warp-refine by choosing: hypotheses along both chains of a window, and a chooser over them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.models.network import Network
from wrp_jax.propagation.chooser.agreement import reliability_of
from wrp_jax.propagation.chooser.chains import step_cues, walk_chain
from wrp_jax.propagation.chooser.choose import choose_step
from wrp_jax.propagation.chooser.hypotheses import (
    active_classes,
    active_indices,
    compact,
    init_carry,
)
from wrp_jax.propagation.methods import FrameLabels, Window
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.step import MaskOptions
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.types import ClassMap, Motion

_init_carry = jax.jit(init_carry, static_argnames="num_classes")


@functools.partial(jax.jit, static_argnames=("network", "mask", "recursive"))
def _jitted_step(network, variables, reliability, carry, chain, long, mask, recursive):
    now = step_cues(chain, long)
    return choose_step(network, variables, reliability, carry, now, mask, recursive=recursive)


def refine_frames(
    cues: WindowCues,
    key_index: int,
    key_label: Int[np.ndarray, "h w"],
    classes: ClassMap,
    motion: Motion,
    refiner: Network,
    variables: Any,
    expected: Float[np.ndarray, "classes 2"],
    mask: MaskOptions,
    *,
    recursive: bool = False,
) -> Iterator[FrameLabels]:
    """Labels every frame of a window from one labelled frame; both directions run as one batch.

    The steps are dispatched one by one, and each one's cues are made when it is its turn: memory
    does not grow with the window. (``tests`` hold it equal to a scan.)

    Args:
      cues: of the window.
      key_index: which frame is labelled.
      key_label: its class indices.
      classes: of the data set.
      motion: f_θ, for the flows over several frames.
      refiner: chooser, see ``models/refine/chooser.py``.
      variables: its parameters.
      expected: recall and precision of g_ψ per class where the chooser was trained; what the window
        itself says of them is measured here (``agreement.py``).
      mask: see ``choose_step``.
      recursive: see there.

    Yields:
      Class indices and confidences in 0 … 1, nearer frames first; the labelled frame comes
      first with its label, and 1.
    """
    yield Window(cues, key_index, key_label, classes).key_frame()._replace(source=None)
    if cues.count == 1:
        return
    orders = window_orders(cues.count, key_index)
    strongest = [cues.section(i, i + 1).probs.max(axis=(0, 1, 2)) for i in range(cues.count)]
    active = active_classes(key_label, np.stack(strongest)[:, None, None])
    label = np.stack([active_indices(key_label, active)] * 2)
    key = cues.clip.stack([key_index] * 2)
    carry = _init_carry(key, label, num_classes=len(active))
    reliability = reliability_of(cues, key_index, key_label, expected)
    reliability = jnp.asarray(np.stack([compact(reliability.T, active).T] * 2))
    for t, (chain, long) in enumerate(walk_chain(cues, orders, active, motion), 1):
        carry, (chosen, sure) = _jitted_step(
            refiner, variables, reliability, carry, chain, long, mask, recursive
        )
        for b in range(2):
            frame = int(orders[b, t])
            if frame == orders[b, t - 1]:
                continue  # the chain has reached its end
            labels = active[np.asarray(chosen[b])]
            if classes.void_index is not None:
                labels[labels < 0] = classes.void_index
            yield FrameLabels(frame, labels, np.asarray(sure[b]))
