"""Labels a window along its two chains of steps (eq. 3-8): Ψ^W, and Ψ^R with the paper's Ω."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.config import PropagationConfig
from wrp_jax.propagation.carriers import Carrier, build_carrier
from wrp_jax.propagation.cues import ChainInputs, derive
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.rollout import rollout, rollout_chunked, window_orders
from wrp_jax.propagation.step import MaskOptions, Refine, image_step, make_step
from wrp_jax.propagation.window_cues import window_chain
from wrp_jax.types import UserError

_CHUNK_BYTES = 1 << 29  # cues of one chunk on the device


def mask_options(config: PropagationConfig) -> MaskOptions:
    """The mask that the options name.

    Raises:
      UserError: there is no mask of that name.
    """
    if config.mask == "paper":
        return MaskOptions(config.tau)
    if config.mask == "consistent":
        return MaskOptions(config.tau, config.consistency_pixels, config.inpaint_confidence)
    raise UserError(
        f"config.propagation.mask={config.mask!r} is unknown: use one of paper, consistent."
    )


@functools.partial(jax.jit, static_argnames=("carrier", "mask", "recursive", "move_images"))
def _run_chunk(
    state: Any,
    chain: ChainInputs,
    refine: Any,
    *,
    carrier: Carrier,
    mask: MaskOptions | None,
    recursive: bool,
    move_images: bool,
) -> tuple[Any, Any]:
    label_step = make_step(carrier, mask, refine, recursive=recursive)

    def step(state: Any, cues: Any) -> tuple[Any, Any]:
        labels, reading = label_step(state[0], cues)
        if not move_images:
            return (labels, None), (reading, None)
        image, moved = image_step(state[1], cues)
        return (labels, image), (reading, moved)

    return rollout(step, state, derive(chain))


def along_chains(
    config: PropagationConfig,
    window: LabelledWindow,
    *,
    inpaint: bool,
    refine: Refine | None = None,
    recursive: bool = True,
    move_images: bool = False,
) -> Iterator[FramePrediction]:
    """Labels a window by the recursion of the paper, both directions of time as one batch.

    Args:
      config: the options of propagation.
      window: what is labelled.
      inpaint: whether g_ψ takes over where motion is not trusted (eq. 5), or labels only move.
      refine: Ω; a ``jax.tree_util.Partial(apply, variables)`` compiles once for all variables.
      recursive: whether the next step starts from Ω's result (eq. 8), or Ω only mends what each
        step of Ψ^W shows.
      move_images: also move the labelled frame's image along (joint propagation).

    Yields:
      Every frame once, the labelled one first with its own label, nearer frames first.
    """
    key, n = window.key_index, window.cues.count
    h, w = window.key_label.shape
    num_classes = window.classes.num_classes
    carrier = build_carrier(config.carrier, num_classes, inpaint=inpaint)
    # Padded to whole chunks of one length, so that one program serves windows of any length,
    # and memory on the device does not grow with it.
    step_bytes = 2 * h * w * (3 + 2 + 2 + 3 + 2 * num_classes * inpaint) * 4
    chunk = int(np.clip(_CHUNK_BYTES // step_bytes, 1, max(1, config.horizon)))
    longest = max(key, n - 1 - key)
    orders = window_orders(n, key, -(-longest // chunk) * chunk)

    labels = jnp.asarray(np.stack([window.key_label] * 2), jnp.int32)
    own = window.key_frame()
    image = None
    if move_images:
        key_image = window.key_image()
        own = own._replace(image=key_image)
        image = np.stack([key_image] * 2), jnp.zeros((2, h, w, 2))
    run = functools.partial(
        _run_chunk,
        carrier=carrier,
        mask=mask_options(config) if inpaint else None,
        recursive=recursive,
        move_images=move_images,
    )
    if refine is not None and not isinstance(refine, jax.tree_util.Partial):
        refine = jax.tree_util.Partial(refine)
    chunks = (
        window_chain(window.cues, orders[:, start : start + chunk + 1], semantics=inpaint)
        for start in range(0, orders.shape[1] - 1, chunk)
    )
    outputs = rollout_chunked(
        lambda state, chain: run(state, chain, refine), (carrier.init(labels), image), chunks
    )

    yield own
    step = 0
    for reading, moved in outputs:
        for t in range(len(reading.labels)):
            step += 1
            for b, frame in enumerate((key + step, key - step)):
                if not 0 <= frame < n:
                    continue
                yield FramePrediction(
                    frame,
                    reading.labels[t, b],
                    reading.confidence[t, b],
                    None if reading.source is None else reading.source[t, b],
                    None if moved is None else moved[t, b],
                )


@dataclasses.dataclass(frozen=True)
class StepRefiner:
    """The paper's Ω: it mends the labels of Ψ^W in every step (eq. 8).

    Attributes:
      refine: Ω; a ``jax.tree_util.Partial(apply, variables)`` compiles once for all variables.
      recursive: whether the next step starts from Ω's result (eq. 8), or Ω only mends what each
        step of Ψ^W shows.
      tau: τ of eq. 6 that was learnt along with Ω; None: that of the options.
    """

    refine: Refine
    recursive: bool = True
    tau: float | None = None

    def label(self, config: PropagationConfig, window: LabelledWindow) -> Iterator[FramePrediction]:
        """See ``methods.Refiner``."""
        if self.tau is not None:
            config = dataclasses.replace(config, tau=self.tau)
        return along_chains(
            config, window, inpaint=True, refine=self.refine, recursive=self.recursive
        )
