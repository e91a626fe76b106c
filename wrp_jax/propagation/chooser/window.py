"""Warp-refine by choosing: hypotheses along both chains of a window, and a chooser over them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from wrp_jax.config import PropagationConfig
from wrp_jax.models.network import Network
from wrp_jax.propagation.along_chains import mask_options
from wrp_jax.propagation.chooser.agreement import reliability_of
from wrp_jax.propagation.chooser.chains import step_cues, walk_chain
from wrp_jax.propagation.chooser.choose import DEFAULT_DOUBT, Doubt, choose_step
from wrp_jax.propagation.chooser.hypotheses import (
    active_classes,
    active_indices,
    compact,
    init_carry,
)
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.rollout import window_orders

_init_carry = jax.jit(init_carry, static_argnames="num_classes")


@functools.partial(jax.jit, static_argnames=("network", "mask", "recursive", "doubt"))
def _jitted_step(network, variables, reliability, carry, chain, long, mask, recursive, doubt):
    now = step_cues(chain, long)
    return choose_step(
        network, variables, reliability, carry, now, mask, recursive=recursive, doubt=doubt
    )


@dataclasses.dataclass(frozen=True)
class ChooserRefiner:
    """A trained chooser, see ``models/refine/chooser.py``.

    Attributes:
      network: the chooser.
      variables: its parameters.
      expected: recall and precision of g_ψ per class where the chooser was trained; what a window
        itself says of them is measured there (``agreement.py``).
      recursive: whether the next step starts from what was chosen, see ``choose_step``.
      doubt: where the label of warp-inpaint stays, see ``choose_step``.
    """

    network: Network
    variables: Any
    expected: Float[np.ndarray, "classes 2"]
    recursive: bool = False
    doubt: Doubt = DEFAULT_DOUBT

    def label(self, config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
        """Labels every frame of a window; both directions of time run as one batch.

        The steps are dispatched one by one, and each one's cues are made when it is its turn:
        memory does not grow with the window. (``tests`` hold it equal to a scan.)

        Args:
          config: names the mask of the warp-inpaint that has the label in doubt.
          window: what is labelled; its motion gives the flows over several frames.

        Yields:
          Class indices and confidences in 0 … 1, nearer frames first; the labelled frame comes
          first with its label, and 1.
        """
        cues, key_index, key_label = window.cues, window.key_index, window.key_label
        yield window.key_frame()._replace(source=None)
        if cues.count == 1:
            return
        orders = window_orders(cues.count, key_index)
        strongest = [cues.section(i, i + 1).probs.max(axis=(0, 1, 2)) for i in range(cues.count)]
        active = active_classes(key_label, np.stack(strongest)[:, None, None])
        label = np.stack([active_indices(key_label, active)] * 2)
        key = cues.clip.stack([key_index] * 2)
        carry = _init_carry(key, label, num_classes=len(active))
        reliability = reliability_of(cues, key_index, key_label, self.expected)
        reliability = jnp.asarray(np.stack([compact(reliability.T, active).T] * 2))
        mask, void = mask_options(config), window.classes.void_index
        for t, (chain, long) in enumerate(walk_chain(cues, orders, active, window.motion), 1):
            carry, (chosen, sure) = _jitted_step(
                self.network,
                self.variables,
                reliability,
                carry,
                chain,
                long,
                mask,
                self.recursive,
                self.doubt,
            )
            for b in range(2):
                frame = int(orders[b, t])
                if frame == orders[b, t - 1]:
                    continue  # the chain has reached its end
                labels = active[np.asarray(chosen[b])]
                if void is not None:
                    labels[labels < 0] = void
                yield FramePrediction(frame, labels, np.asarray(sure[b]))
