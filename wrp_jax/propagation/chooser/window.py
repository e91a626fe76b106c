"""Warp-refine by choosing: hypotheses along both chains of a window, and a chooser over them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
from wrp_jax.propagation.chooser.choose import (
    DEFAULT_DOUBT,
    Choice,
    Doubt,
    choose_step,
    tile_side,
)
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    LongFlows,
    active_classes,
    active_indices,
    compact,
    init_carry,
)
from wrp_jax.propagation.cues import ChainInputs
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


class _Chain:
    """Steps of one chain, one after another in a thread.

    At the end of the ``with`` block a step that runs is waited for, and the others are dropped.
    """

    def __init__(self, step: Callable[..., tuple[Carry, Choice]], carry: Carry):
        """Stands on the labelled frame.

        Args:
          step: ``step(carry, chain, long)``, jitted; of one chain.
          carry: on the labelled frame.
        """
        self._step, self._carry = step, carry
        self._pool = ThreadPoolExecutor(1, "chain")

    def __enter__(self) -> _Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def advance(self, chain: ChainInputs, long: LongFlows) -> Future[Choice]:
        """What is chosen of the next frame, without the axis of chains; host arrays.

        Args:
          chain: of one step, see ``step_cues``.
          long: its flows.
        """
        return self._pool.submit(self._advance, chain, long)

    def _advance(self, chain: ChainInputs, long: LongFlows) -> Choice:
        self._carry, choice = self._step(self._carry, chain, long)
        # Whole arrays come to the host: a part of one would be one more program.
        return jax.tree.map(lambda a: np.asarray(a)[0], choice)


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
        """Labels every frame of a window; each direction of time has a thread of its own.

        A step is a loop over small blocks, which keeps one core busy: two threads take two. A
        step's cues are made while the one before it is worked on, and no sooner: memory does not
        grow with the window. (``tests`` hold it equal to a scan.)

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
        places = active_indices(labels, active)
        reliability = reliability_of(cues, window.keys, self.expected)
        step = functools.partial(
            _jitted_step,
            self.network,
            self.variables,
            compact(reliability.T, active).T[None],
            mask=mask_options(config),
            recursive=self.recursive,
            doubt=self.doubt,
            # Of small frames it is there in any case: one program for one labelled frame and two.
            posterior=shared or tile_side(*window.size, len(active)) is None,
        )

        def said(b: int, frame: int, choice: Choice) -> FramePrediction:
            labels = active[choice.place]
            if window.classes.void_index is not None:
                labels[labels < 0] = window.classes.void_index
            posterior = Posterior(choice.probs, active) if shared else None
            key = starts[b].index
            return FramePrediction(frame, labels, choice.confidence, key=key, posterior=posterior)

        with contextlib.ExitStack() as stack:
            chains = [
                stack.enter_context(
                    _Chain(step, _init_carry(frames[b, None], places[b, None], len(active)))
                )
                for b in range(len(starts))
            ]
            waiting: collections.deque[tuple[int, int, Future[Choice]]] = collections.deque()
            for t, (chain, long) in enumerate(walk_chain(cues, orders, active, window.motion), 1):
                for b, one in enumerate(chains):
                    frame = int(orders[b, t])
                    if frame == orders[b, t - 1]:
                        continue  # the chain has reached its end
                    own = slice(b, b + 1)
                    chosen = one.advance(
                        jax.tree.map(lambda a, own=own: a[:, own], chain),
                        jax.tree.map(lambda a, own=own: a[own], long),
                    )
                    if t == 1 and not waiting:
                        chosen.result()  # the other chain finds the program compiled
                    waiting.append((b, frame, chosen))
                while len(waiting) > len(chains):
                    b, frame, chosen = waiting.popleft()
                    yield said(b, frame, chosen.result())
            for b, frame, chosen in waiting:
                yield said(b, frame, chosen.result())
