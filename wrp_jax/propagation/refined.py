"""Warp-refine by choosing: hypotheses along both chains of a window, and a chooser over them."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wrp_jax.models.motion import Motion
from wrp_jax.models.network import Network
from wrp_jax.propagation.chains import long_flows, step_cues
from wrp_jax.propagation.hypotheses import (
    Carry,
    StepCues,
    active_classes,
    advance,
    frame_features,
    guess,
    init_carry,
    places_of,
)
from wrp_jax.propagation.rollout import window_orders
from wrp_jax.types import ClassMap, ClipCues

Choice = tuple[Int[Array, "b h w"], Float[Array, "b h w"]]


def choose_step(
    network: Network, variables: Any, carry: Carry, cues: StepCues, *, recursive: bool
) -> tuple[Carry, Choice]:
    """One step of Ψ^R with a chooser in the place of Ω (eq. 8).

    Args:
      network: the chooser.
      variables: its parameters.
      carry: at the previous frame.
      cues: of the target frame.
      recursive: whether the next step starts from what was chosen here.

    Returns:
      The new carry; the chosen place in the list of active classes, and its probability.
    """
    carry = advance(carry, cues)
    hypotheses = guess(carry, cues)
    logits = network.apply(variables, hypotheses.votes, frame_features(hypotheses))
    probs = jax.nn.softmax(logits, axis=-1)
    if recursive:
        carry = carry._replace(chain=probs)
    return carry, (jnp.argmax(probs, axis=-1), jnp.max(probs, axis=-1))


@functools.partial(jax.jit, static_argnames=("network", "recursive"))
def _jitted_step(network, variables, carry, cues, recursive):
    return choose_step(network, variables, carry, cues, recursive=recursive)


def refine_window(
    clip: ClipCues,
    key_index: int,
    key_label: Int[np.ndarray, "h w"],
    classes: ClassMap,
    motion: Motion,
    refiner: Network,
    variables: Any,
    *,
    recursive: bool = False,
) -> tuple[Int[np.ndarray, "n h w"], Float[np.ndarray, "n h w"]]:
    """Labels every frame of a window from one labelled frame; both directions run as one batch.

    The steps are dispatched one by one, since each one's cues are as large as its state: memory
    on the device does not grow with the window. (``tests`` hold it equal to a scan.)

    Args:
      clip: cues of the window's frames, host arrays.
      key_index: which frame is labelled.
      key_label: its class indices.
      classes: of the data set.
      motion: f_θ, for the flows over several frames.
      refiner: chooser, see ``models/refine/chooser.py``.
      variables: its parameters.
      recursive: see ``choose_step``.

    Returns:
      Class indices and confidences in 0 … 1; the labelled frame keeps its label, with 1.
    """
    n = len(clip.images)
    labels = np.repeat(np.asarray(key_label, np.int32)[None], n, axis=0)
    confidence = np.ones(labels.shape, np.float32)
    if n == 1:
        return labels, confidence
    orders = window_orders(n, key_index)
    frames = np.round(np.asarray(clip.images) * 255.0).astype(np.uint8)
    active = active_classes(key_label, np.asarray(clip.probs))
    long = long_flows(frames, clip, orders, motion)
    cues = step_cues(clip, long, orders, active)
    places = np.stack([places_of(key_label, active)] * 2)
    image = np.stack([np.asarray(clip.images[key_index])] * 2)
    carry = init_carry(jnp.asarray(image), jnp.asarray(places), len(active))
    for t in range(orders.shape[1] - 1):
        now = jax.tree.map(lambda a, t=t: jnp.asarray(a[t]), cues)
        carry, (chosen, sure) = _jitted_step(refiner, variables, carry, now, recursive)
        for b in range(2):
            frame = int(orders[b, t + 1])
            if frame == orders[b, t]:
                continue  # the chain has reached its end
            labels[frame] = active[np.asarray(chosen[b])]
            confidence[frame] = np.asarray(sure[b])
    if classes.void_index is not None:
        labels[labels < 0] = classes.void_index
    return labels, confidence
