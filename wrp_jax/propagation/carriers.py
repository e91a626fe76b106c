"""How labels travel along a chain: hard ids, distributions, or the flow to the labelled frame.

A carrier is a bundle of pure functions over a state that a scan can carry. Every leaf of a
state leads with the chain axis ``b``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer

from wrp_jax.ops.labels import decide, one_hot
from wrp_jax.ops.photometric import patch_error
from wrp_jax.ops.warp import (
    Extent,
    compose_flow,
    vote_labels,
    warp,
    warp_labels,
    warp_nearest,
    warp_one_hot,
)
from wrp_jax.types import UserError

EVERY = 3
"""Steps from one flow straight into the labelled frame to the next, which labels may change over
to. Made at every step they double the time for flow; experiments/notes/carriers.md has both."""
PATCH = 2
"""Half side of the square in which flows are compared, in pixels."""
BETTER = 0.6
"""Share of the chain's photometric error below which another flow takes its place. Things of one
colour match by chance, the more the further a flow leads; measured between labelled frames."""


class Reading(NamedTuple):
    """What a state says about its frame.

    Attributes:
      labels: class indices, int32.
      confidence: probability of that class under the state, 0 … 1; 1 for hard ids, which do
        not remember any.
      source: where the label comes from: 0 the labelled frame, j the segmentation at step j;
        None if the carrier does not remember.
      probs: the distribution that the labels were decided from, float16; None unless asked for.
    """

    labels: Int[Array, "b h w"]
    confidence: Float[Array, "b h w"]
    source: Int[Array, "b h w"] | None = None
    probs: Float[Array, "b h w c"] | None = None


class Carrier(NamedTuple):
    """One way to carry labels.

    Attributes:
      init: ``init(labels int [b, h, w]) -> state``; with ``anchor`` the labelled frame's image,
        RGB, 0 … 1, is its second argument.
      warp: ``warp(state, flow [b, h, w, 2]) -> state``: moves to the next frame (eq. 3).
      blend: ``blend(state, mask [b, h, w], probs [b, h, w, c]) -> state``: keeps the state where
        the mask is 1 and takes ``probs`` where it is 0 (eq. 5).
      replace: ``replace(state, probs) -> state``: the state after refinement (eq. 8).
      probs: ``probs(state) -> [b, h, w, c]``: the distribution, differentiable.
      read: ``read(state) -> Reading``.
      anchor: ``anchor(state, flow [b, h, w, 2], image [b, h, w, 3]) -> state``: takes the flow
        straight into the labelled frame where it matches better, and nowhere where it is not
        finite; None: it is of no use.
      flow: ``flow(state) -> [b, h, w, 2]``: into the labelled frame, as labels follow it that
        were never inpainted; None: they follow none.
    """

    init: Callable[..., Any]
    warp: Callable[..., Any]
    blend: Callable[..., Any]
    replace: Callable[..., Any]
    probs: Callable[..., Any]
    read: Callable[..., Reading]
    anchor: Callable[..., Any] | None = None
    flow: Callable[[Any], Any] | None = None


# --- hard ids: the paper ------------------------------------------------------------------


def hard(num_classes: int, dtype: Any = jnp.float32, extent: Extent = None) -> Carrier:
    """Class indices, voted on at every step: the paper's one-hot labels. No gradient."""

    def blend(state: Array, mask: Array, probs: Array) -> Array:
        return jnp.where(mask > 0.5, state, jnp.argmax(probs, axis=-1).astype(state.dtype))

    return Carrier(
        init=lambda labels: labels.astype(jnp.uint8 if num_classes <= 256 else jnp.int32),
        warp=lambda state, flow: warp_labels(state, flow, extent)[0],
        blend=blend,
        replace=lambda state, probs: jnp.argmax(probs, axis=-1).astype(state.dtype),
        probs=lambda state: one_hot(state, num_classes, dtype),
        read=lambda state: Reading(state.astype(jnp.int32), jnp.ones(state.shape, jnp.float32)),
    )


# --- distributions ------------------------------------------------------------------------


def soft(num_classes: int, dtype: Any = jnp.float32, extent: Extent = None) -> Carrier:
    """Distributions, resampled at every step; decided on when read only."""

    def blend(state: Array, mask: Array, probs: Array) -> Array:
        mask = mask[..., None].astype(state.dtype)
        return mask * state + (1 - mask) * probs.astype(state.dtype)

    return Carrier(
        init=lambda labels: one_hot(labels, num_classes, dtype),
        warp=lambda state, flow: warp(state, flow, extent)[0],
        blend=blend,
        replace=lambda state, probs: probs.astype(state.dtype),
        probs=lambda state: state,
        read=lambda state: Reading(*decide(state)),
    )


# --- composed flow ------------------------------------------------------------------------


class ComposedState(NamedTuple):
    """A pixel is tied to the labelled frame by a flow until it is inpainted.

    Attributes:
      key: labels of the labelled frame.
      flow: from here into the labelled frame.
      alive: share of the pixel that is still tied, 0 … 1.
      rest: the distribution of the other share, scaled by it: sums to ``1 - alive``.
      source: 0, or the step at which the pixel was inpainted.
      step: steps made.
    """

    key: Integer[Array, "b h w"]
    flow: Float[Array, "b h w 2"]
    alive: Float[Array, "b h w"]
    rest: Float[Array, "b h w c"]
    source: Int[Array, "b h w"]
    step: Int[Array, " b"]


def composed(num_classes: int, dtype: Any = jnp.float32, extent: Extent = None) -> Carrier:
    """One warp from the labelled frame, by the composed flow; labels are never resampled.

    Where a step inpaints, the pixel is cut off the labelled frame and its distribution is
    carried softly from there.
    """

    def init(labels: Array) -> ComposedState:
        b, h, w = labels.shape
        return ComposedState(
            key=labels.astype(jnp.int32),
            flow=jnp.zeros((b, h, w, 2), dtype),
            alive=jnp.ones((b, h, w), dtype),
            rest=jnp.zeros((b, h, w, num_classes), dtype),
            source=jnp.zeros((b, h, w), jnp.int32),
            step=jnp.zeros((b,), jnp.int32),
        )

    def move(state: ComposedState, flow: Array) -> ComposedState:
        # A flow must not be mixed with that of a pixel which has left the labelled frame, so
        # corners count by what is alive of them. Where nothing is, any flow will do.
        alive = state.alive[..., None]
        mixed = jnp.concatenate([state.flow * alive, alive], axis=-1)
        moved, _ = warp(mixed, flow, extent)
        share = moved[..., 2]
        before = moved[..., :2] / jnp.maximum(share, 1e-6)[..., None]
        return state._replace(
            flow=jnp.where(jnp.isfinite(flow), flow, 0).astype(dtype) + before,
            alive=share,
            rest=warp(state.rest, flow, extent)[0],
            source=warp_nearest(state.source, flow, extent),
            step=state.step + 1,
        )

    def blend(state: ComposedState, mask: Array, probs: Array) -> ComposedState:
        keep = mask.astype(dtype)
        return state._replace(
            alive=keep * state.alive,
            rest=keep[..., None] * state.rest + (1 - keep)[..., None] * probs.astype(dtype),
            source=jnp.where(mask > 0.5, state.source, state.step[:, None, None]),
        )

    def probs_of(state: ComposedState) -> Array:
        tied = warp_one_hot(state.key, state.flow, num_classes, extent)
        return state.alive[..., None] * tied + state.rest

    def replace(state: ComposedState, probs: Array) -> ComposedState:
        # Only where refinement changes the decision is the tie cut: elsewhere the labelled
        # frame says the same more sharply.
        changed = jnp.argmax(probs, axis=-1) != jnp.argmax(probs_of(state), axis=-1)
        return blend(state, 1 - changed.astype(dtype), probs)

    def read(state: ComposedState) -> Reading:
        return Reading(*decide(probs_of(state)), state.source)

    return Carrier(init, move, blend, replace, probs_of, read, flow=lambda state: state.flow)


class TiedState(NamedTuple):
    """``ComposedState`` of a chain that never inpaints."""

    key: Integer[Array, "b h w"]
    flow: Float[Array, "b h w 2"]


def tied(num_classes: int, dtype: Any = jnp.float32, extent: Extent = None) -> Carrier:
    """``composed`` for chains that never inpaint: no channel per class, votes on integers."""

    def init(labels: Array) -> TiedState:
        return TiedState(labels, jnp.zeros((*labels.shape, 2), dtype))

    def move(state: TiedState, flow: Array) -> TiedState:
        return state._replace(flow=compose_flow(flow.astype(dtype), state.flow, extent)[0])

    def probs_of(state: TiedState) -> Array:
        return warp_one_hot(state.key, state.flow, num_classes, extent)

    def read(state: TiedState) -> Reading:
        labels, votes, _ = vote_labels(state.key, state.flow, extent)
        source = jnp.zeros(labels.shape, jnp.int32)
        return Reading(labels.astype(jnp.int32), votes.astype(jnp.float32), source)

    def refuse(*_: Any) -> Any:
        raise TypeError("this carrier cannot inpaint: use composed")

    return Carrier(init, move, refuse, refuse, probs_of, read, flow=lambda state: state.flow)


class AnchoredState(NamedTuple):
    """State of another carrier, with the labelled frame that flows are compared in.

    Attributes:
      image: of the labelled frame, RGB, 0 … 1.
      tie: of the carrier.
    """

    image: Float[Array, "b h w 3"]
    tie: Any


def anchored(carrier: Carrier, extent: Extent = None) -> Carrier:
    """A carrier by composed flow that starts anew where flow straight to the labelled frame fits.

    Composed flow adds up the errors of its steps; one long flow makes an error of its own, but
    does not drift. A pixel takes it where its photometric error in the labelled frame is well below
    that of the chain, and goes on from there, as MFT does with flows over more intervals (Neoral et
    al., WACV 2024). A pixel that was inpainted stays so.
    """

    def anchor(state: AnchoredState, flow: Array, image: Array) -> AnchoredState:
        def best(tied: Array) -> Array:
            errors = [patch_error(image, state.image, way, PATCH, extent) for way in (tied, flow)]
            return jnp.where((errors[1] < BETTER * errors[0])[..., None], flow, tied)

        tied = state.tie.flow
        # Comparing takes as long as all the rest of a step: where there is no flow, nothing does.
        tied = jax.lax.cond(jnp.isfinite(flow).any(), best, lambda tied: tied, tied)
        return state._replace(tie=state.tie._replace(flow=tied))

    def on_tie(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(state: AnchoredState, *arguments: Any) -> AnchoredState:
            return state._replace(tie=function(state.tie, *arguments))

        return call

    return Carrier(
        init=lambda labels, image: AnchoredState(image, carrier.init(labels)),
        warp=on_tie(carrier.warp),
        blend=on_tie(carrier.blend),
        replace=on_tie(carrier.replace),
        probs=lambda state: carrier.probs(state.tie),
        read=lambda state: carrier.read(state.tie),
        anchor=anchor,
        flow=lambda state: state.tie.flow,
    )


ANCHORED = "anchored"
_CARRIERS = {"hard": hard, "soft": soft, "composed": composed}


def make_carrier(
    name: str,
    num_classes: int,
    *,
    inpaint: bool = True,
    dtype: Any = jnp.float32,
    extent: Extent = None,
) -> Carrier:
    """The carrier named in the options.

    Args:
      name: hard, soft, composed or anchored.
      num_classes: void included.
      inpaint: whether ``blend`` and ``replace`` will be called; without them composing is
        cheaper.
      dtype: of flows and distributions in the state.
      extent: of the frames.

    Raises:
      UserError: there is no carrier of that name.
    """
    if name == ANCHORED:
        inner = make_carrier("composed", num_classes, inpaint=inpaint, dtype=dtype, extent=extent)
        return anchored(inner, extent)
    if name not in _CARRIERS:
        known = ", ".join([*_CARRIERS, ANCHORED])
        raise UserError(f"config.propagation.carrier={name!r} is unknown: use one of {known}.")
    if name == "composed" and not inpaint:
        return tied(num_classes, dtype, extent)
    return _CARRIERS[name](num_classes, dtype, extent)


build_carrier = functools.cache(make_carrier)
"""``make_carrier``: one object for one carrier, so that programs are compiled once."""
