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
from wrp_jax.propagation.chooser.choose import DEFAULT_DOUBT, Doubt, choose_step, tile_side
from wrp_jax.propagation.chooser.hypotheses import (
    active_classes,
    active_indices,
    compact,
    init_carry,
)
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction, Posterior

_init_carry = jax.jit(init_carry, static_argnames="num_classes")


@functools.partial(jax.jit, static_argnames=("network", "mask", "recursive", "doubt", "posterior"))
def _jitted_step(
    network, variables, reliability, carry, chain, long, mask, recursive, doubt, posterior
):
    now = step_cues(chain, long)
    carry, choice = choose_step(
        network, variables, reliability, carry, now, mask, recursive=recursive, doubt=doubt
    )
    return carry, choice._replace(probs=choice.probs.astype(jnp.float16) if posterior else None)


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
          Class indices and confidences in 0 … 1: labelled frames first with their label, and 1;
          then every frame once from each labelled frame within reach, nearer frames first, with a
          posterior where there are several.
        """
        cues, starts, shared = window.cues, window.starts, window.shared
        for key in window.keys:
            yield window.key_frame(key)._replace(source=None)
        orders = window.orders()
        if (orders[:, :1] == orders).all():
            return
        strongest = [cues.section(i, i + 1).probs.max(axis=(0, 1, 2)) for i in range(cues.count)]
        labels = np.stack([key.label for key in starts])
        active = active_classes(labels, np.stack(strongest)[:, None, None])
        frames = cues.clip.stack([key.index for key in starts])
        carry = _init_carry(frames, active_indices(labels, active), num_classes=len(active))
        reliability = reliability_of(cues, window.keys, self.expected)
        reliability = np.stack([compact(reliability.T, active).T] * 2)
        mask, void = mask_options(config), window.classes.void_index
        # Of small frames it is there in any case: one program for one labelled frame and for two.
        posterior = shared or tile_side(*window.size, len(active)) is None
        for t, (chain, long) in enumerate(walk_chain(cues, orders, active, window.motion), 1):
            carry, (chosen, sure, probs) = _jitted_step(
                self.network,
                self.variables,
                reliability,
                carry,
                chain,
                long,
                mask,
                self.recursive,
                self.doubt,
                posterior,
            )
            # Whole arrays come to the host: a part of one would be one more program.
            chosen, sure = np.asarray(chosen), np.asarray(sure)
            probs = np.asarray(probs) if shared else None
            for b, key in enumerate(starts):
                frame = int(orders[b, t])
                if frame == orders[b, t - 1]:
                    continue  # the chain has reached its end
                labels = active[chosen[b]]
                if void is not None:
                    labels[labels < 0] = void
                said = FramePrediction(frame, labels, sure[b], key=key.index)
                if probs is not None:
                    said = said._replace(posterior=Posterior(probs[b], active))
                yield said
