"""Warp-refine by choosing: hypotheses along both chains of a window, and a chooser over them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wrp_jax.models.motion import Motion
from wrp_jax.models.network import Network
from wrp_jax.ops.filters import box_mean
from wrp_jax.propagation.chains import walk_cues
from wrp_jax.propagation.hypotheses import (
    Carry,
    StepCues,
    active_classes,
    advance,
    candidates,
    frame_features,
    guess,
    init_carry,
    places_of,
)
from wrp_jax.propagation.methods import FrameLabels, Window
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.types import ClassMap

Choice = tuple[Int[Array, "b h w"], Float[Array, "b h w"]]


_BAND_BYTES = 1 << 31
_HALO = 16  # rows that a pixel's probabilities depend on, above and below; some 10 are enough


def rows_at_once(height: int, width: int, num_classes: int) -> int:
    """Rows of both chains whose hypotheses fit into some 2 GB; all of them for usual frames.

    Args:
      height: of the frames.
      width: of the frames.
      num_classes: active ones.
    """
    # Votes and maps of every class, agreement of every two hypotheses, features.
    floats = 66 * num_classes + 200
    return int(np.clip(_BAND_BYTES // (2 * 4 * floats * width), 3 * _HALO, max(height, 3 * _HALO)))


def settle(
    votes: Float[Array, "b h w n c"], probs: Float[Array, "b h w c"]
) -> Float[Array, "b h w c"]:
    """Lets a disputed pixel hear its eight neighbours; where all guesses agree nothing changes.

    Three pixels are little in a large picture and a whole pole in a small one: the neighbours
    count in full from 480 pixels of width on, and not at all up to 240. One trained chooser each,
    by scripts that are not kept: a full vote gained on DAVIS (854) and a little on CamVid (480),
    and lost on thin things at 240 and 192. What nobody votes for stays out.

    Args:
      votes: of the hypotheses.
      probs: of the chooser.
    """
    share = min(max((probs.shape[2] - 240) / 240, 0.0), 1.0)
    if not share:
        return probs
    winner = jnp.argmax(votes, axis=-1)
    disputed = jnp.any(winner != winner[..., :1], axis=-1, keepdims=True)
    heard = ((1.0 - share) * probs + share * box_mean(probs, 1)) * candidates(votes)
    heard = heard / jnp.maximum(jnp.sum(heard, axis=-1, keepdims=True), 1e-6)
    return jnp.where(disputed, heard, probs)


def choose_step(
    network: Network,
    variables: Any,
    carry: Carry,
    cues: StepCues,
    *,
    recursive: bool,
    rows: int | None = None,
) -> tuple[Carry, Choice]:
    """One step of Ψ^R with a chooser in the place of Ω (eq. 8).

    Args:
      network: the chooser.
      variables: its parameters.
      carry: at the previous frame.
      cues: of the target frame.
      recursive: whether the next step starts from what was chosen here.
      rows: that are worked on at once, ``rows_at_once`` unless told; results are the same.

    Returns:
      The new carry; the chosen place in the list of active classes, and its probability.
    """
    carry = advance(carry, cues)
    _, height, width, classes = carry.chain.shape
    rows = rows_at_once(height, width, classes) if rows is None else rows

    def choose(carry: Carry, cues: StepCues, top: Array | int) -> Array:
        hypotheses = guess(carry, cues, top)
        logits = network.apply(variables, hypotheses.votes, frame_features(hypotheses))
        return settle(hypotheses.votes, jax.nn.softmax(logits, axis=-1))

    if rows >= height:
        probs = choose(carry, cues, 0)
    else:
        kept = rows - 2 * _HALO

        def band(number: Array, probs: Array) -> Array:
            first = jnp.minimum(number * kept, height - kept)
            top = jnp.clip(first - _HALO, 0, height - rows)
            part = choose(_band_of(carry, top, rows), _rows(cues, top, rows), top)
            part = jax.lax.dynamic_slice_in_dim(part, first - top, kept, axis=1)
            return jax.lax.dynamic_update_slice_in_dim(probs, part, first, axis=1)

        probs = jax.lax.fori_loop(0, -(-height // kept), band, jnp.zeros_like(carry.chain))
    if recursive:
        carry = carry._replace(chain=probs)
    return carry, (jnp.argmax(probs, axis=-1), jnp.max(probs, axis=-1))


def _rows(tree: Any, top: Array, rows: int) -> Any:
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, top, rows, axis=1), tree)


def _band_of(carry: Carry, top: Array, rows: int) -> Carry:
    """What lives on the target frame; the key frame stays whole."""
    moving = (carry.chain, carry.composed, carry.anchor, carry.stride, carry.drift, carry.age)
    return Carry(carry.key, *_rows(moving, top, rows), step=carry.step)


@functools.partial(jax.jit, static_argnames=("network", "recursive"))
def _jitted_step(network, variables, carry, cues, recursive):
    return choose_step(network, variables, carry, cues, recursive=recursive)


def refine_frames(
    cues: WindowCues,
    key_index: int,
    key_label: Int[np.ndarray, "h w"],
    classes: ClassMap,
    motion: Motion,
    refiner: Network,
    variables: Any,
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
      recursive: see ``choose_step``.

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
    places = np.stack([places_of(key_label, active)] * 2)
    key = cues.section(key_index, key_index + 1, semantics=False).images[0]
    image = np.stack([np.asarray(key)] * 2)
    carry = init_carry(jnp.asarray(image), jnp.asarray(places), len(active))
    for t, step in enumerate(walk_cues(cues, orders, active, motion), 1):
        now = jax.tree.map(jnp.asarray, step)
        carry, (chosen, sure) = _jitted_step(refiner, variables, carry, now, recursive)
        for b in range(2):
            frame = int(orders[b, t])
            if frame == orders[b, t - 1]:
                continue  # the chain has reached its end
            labels = active[np.asarray(chosen[b])]
            if classes.void_index is not None:
                labels[labels < 0] = classes.void_index
            yield FrameLabels(frame, labels, np.asarray(sure[b]))
