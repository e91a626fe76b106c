"""One step of Ψ^R with a chooser in the place of Ω (eq. 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from wrp_jax.config import DoubtConfig
from wrp_jax.models.network import Network
from wrp_jax.ops.filters import box_mean
from wrp_jax.ops.warp import warp_labels
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    StepCues,
    advance,
    candidates,
    guess,
    in_dispute,
    moving_part,
    part_of,
    seen_part,
)
from wrp_jax.propagation.chooser.network_inputs import chooser_inputs
from wrp_jax.propagation.step import MaskOptions, make_step


class Choice(NamedTuple):
    """What one step says of its frame.

    Attributes:
      place: index into the active classes.
      confidence: its probability.
      probs: of all active classes.
    """

    place: Int[Array, "b h w"]
    confidence: Float[Array, "b h w"]
    probs: Float[Array, "b h w c"]


class Doubt(NamedTuple):
    """What is done to the chooser's answers where hypotheses differ; hashable.

    Attributes:
      inpainted: probability that warp-inpaint's label gains, one frame from the labelled one.
      inpainted_over_motion: the same where motion brings another label.
      frames: from so many frames on it gains nothing.
      neighbours_width: width in pixels up to which a pixel hears none of its neighbours, and
        from which it hears them in full.
    """

    inpainted: float
    inpainted_over_motion: float
    frames: int
    neighbours_width: tuple[int, int]


def doubt_of(options: DoubtConfig) -> Doubt:
    """The options, as jitted functions take them."""
    low, high = options.neighbours_width
    return Doubt(options.inpainted, options.inpainted_over_motion, options.frames, (low, high))


DEFAULT_DOUBT = doubt_of(DoubtConfig())

_SIDE = 120
HALO = 12
"""Pixels around one that its probabilities depend on; some 10 are enough."""

_WHOLE = 640 * 480  # pixels up to which nearly every tile of a frame holds a dispute
_WHOLE_BYTES = 1 << 31


def tile_size(height: int, width: int, num_classes: int) -> tuple[int, int]:
    """Height and width of the parts in which hypotheses are made; small frames are one part.

    Args:
      height: of the frames.
      width: of the frames.
      num_classes: active ones.
    """
    # Votes and maps of every class, agreement of every two hypotheses, features; of two chains.
    floats = 66 * num_classes + 200
    if height * width <= _WHOLE and 2 * 4 * floats * height * width <= _WHOLE_BYTES:
        return height, width
    return min(_SIDE, height), min(_SIDE, width)


def smooth_disputed(
    votes: Float[Array, "b h w n c"],
    probs: Float[Array, "b h w c"],
    widths: tuple[int, int] = DEFAULT_DOUBT.neighbours_width,
) -> Float[Array, "b h w c"]:
    """Lets a disputed pixel hear its eight neighbours; where all guesses agree nothing changes.

    What nobody votes for stays out.

    Args:
      votes: of the hypotheses.
      probs: of the chooser.
      widths: see ``Doubt.neighbours_width``.
    """
    none, full = widths
    share = min(max((probs.shape[2] - none) / max(full - none, 1), 0.0), 1.0)
    if not share:
        return probs
    winner = jnp.argmax(votes, axis=-1)
    disputed = jnp.any(winner != winner[..., :1], axis=-1, keepdims=True)
    heard = ((1.0 - share) * probs + share * box_mean(probs, 1)) * candidates(votes)
    heard = heard / jnp.maximum(jnp.sum(heard, axis=-1, keepdims=True), 1e-6)
    return jnp.where(disputed, heard, probs)


def favour_inpainted(
    probs: Float[Array, "b h w c"],
    inpainted: Float[Array, "b h w c"],
    composed: Int[Array, "b h w"],
    step: Int[Array, ""] | int,
    doubt: Doubt = DEFAULT_DOUBT,
) -> Float[Array, "b h w c"]:
    """In doubt, leaves the label of warp-inpaint, above all where it has replaced motion's.

    A chooser is too sure of motion where that has failed: clips are smoother than video. The
    advantage falls with every step, as motion's errors add up in warp-inpaint, too.

    Args:
      probs: of the chooser.
      inpainted: soft labels of Ψ^W.
      composed: labels that composed flow brings.
      step: frames from the labelled one.
      doubt: how much it gains.
    """
    share = jnp.clip((doubt.frames - step) / (doubt.frames - 1), 0.0, 1.0)
    place = jnp.argmax(inpainted, axis=-1)
    label = jax.nn.one_hot(place, probs.shape[-1], dtype=probs.dtype)
    gain = jnp.where(place == composed, doubt.inpainted, doubt.inpainted_over_motion)
    advantage = share * gain[..., None]
    return (probs + advantage * label) / (1.0 + advantage)


def choose_step(
    network: Network,
    variables: Any,
    reliability: Float[Array, "b c 2"],
    carry: Carry,
    now: StepCues,
    mask: MaskOptions,
    *,
    recursive: bool,
    tile: tuple[int, int] | None = None,
    doubt: Doubt = DEFAULT_DOUBT,
) -> tuple[Carry, Choice]:
    """One step. Only pixels on which hypotheses differ are put to the chooser.

    Elsewhere the label is the one that all agree on, as sure as stepwise labels and g_ψ are of it.

    Args:
      network: the chooser.
      variables: its parameters.
      reliability: recall and precision of g_ψ in the active classes.
      carry: at the previous frame.
      now: cues of the target frame.
      mask: of the warp-inpaint that has the label in doubt.
      recursive: whether the next step starts from what was chosen here.
      tile: height and width; by default that of ``tile_size``. Results are the same.
      doubt: what is done to its answers.

    Returns:
      The new carry, and what was chosen.
    """
    _, height, width, classes = carry.stepwise.shape
    warp_inpaint = make_step(build_carrier("soft", classes), mask)
    inpainted, _ = warp_inpaint(carry.inpainted, now.cues)
    carry = advance(carry, now)._replace(inpainted=inpainted)
    differs = in_dispute(carry, now)

    def choose(carry: Carry, now: StepCues, origin: tuple[Any, Any]) -> Array:
        hypotheses = guess(carry, now, origin)
        logits = network.apply(variables, *chooser_inputs(hypotheses, reliability))
        return smooth_disputed(
            hypotheses.votes, jax.nn.softmax(logits, axis=-1), doubt.neighbours_width
        )

    tile = tile_size(height, width, classes) if tile is None else tile
    if tile == (height, width):
        chosen = choose(carry, now, (0, 0))
    else:
        chosen = _in_tiles(choose, carry, now, differs, tile)
    composed, _ = warp_labels(carry.key.label, carry.composed)
    chosen = favour_inpainted(chosen, carry.inpainted, composed, carry.step, doubt)
    probs = jnp.where(differs[..., None], chosen, 0.5 * (carry.stepwise + now.cues.probs))
    if recursive:
        carry = carry._replace(stepwise=probs)
    choice = Choice(jnp.argmax(probs, axis=-1), jnp.max(probs, axis=-1), probs)
    return carry, choice


def _in_tiles(
    choose: Callable[[Carry, StepCues, tuple[Any, Any]], Array],
    carry: Carry,
    now: StepCues,
    wanted: Bool[Array, "b h w"],
    tile: tuple[int, int],
) -> Float[Array, "b h w c"]:
    """What ``choose`` says in tiles that hold a wanted pixel, zero elsewhere.

    Each tile is seen with a rim that is thrown away, unless the frame ends there.
    """
    size = wanted.shape[1:]
    core = tuple(t if t == n else t - 2 * HALO for t, n in zip(tile, size, strict=True))
    count = tuple(-(-n // c) for n, c in zip(size, core, strict=True))
    pad = [(0, k * c - n) for k, c, n in zip(count, core, size, strict=True)]
    blocks = jnp.pad(wanted.any(axis=0), pad).reshape(count[0], core[0], count[1], core[1])
    flags = blocks.any(axis=(1, 3)).ravel()
    (places,) = jnp.nonzero(flags, size=flags.size, fill_value=0)

    def visit(number: Array, out: Array) -> Array:
        cell = jnp.divmod(places[number], count[1])
        inner = [jnp.minimum(k * c, n - c) for k, c, n in zip(cell, core, size, strict=True)]
        first = [jnp.clip(i - HALO, 0, n - t) for i, t, n in zip(inner, tile, size, strict=True)]
        origin = first[0], first[1]
        part = choose(moving_part(carry, origin, tile), seen_part(now, origin, tile), origin)
        part = part_of(part, (inner[0] - first[0], inner[1] - first[1]), (core[0], core[1]))
        return jax.lax.dynamic_update_slice(out, part, (0, *inner, 0))

    return jax.lax.fori_loop(0, flags.sum(), visit, jnp.zeros_like(carry.stepwise))
