"""One step of Ψ^R with a chooser in the place of Ω (eq. 8)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from wrp_jax.config import DoubtConfig
from wrp_jax.models.network import Network
from wrp_jax.models.refine.chooser import (
    CANDIDATE,
    NOT_A_CANDIDATE,
    PIXEL_REACH,
    class_reach,
)
from wrp_jax.ops.blocks import Blocks, grow, in_blocks
from wrp_jax.ops.filters import box_mean
from wrp_jax.ops.warp import warp_labels
from wrp_jax.propagation.carriers import build_carrier
from wrp_jax.propagation.chooser.hypotheses import (
    HYPOTHESES,
    Carry,
    StepCues,
    advance,
    frame_features,
    guess,
    in_dispute,
    what_is_known,
)
from wrp_jax.propagation.step import MaskOptions, make_step


class Choice(NamedTuple):
    """What one step says of its frame.

    Attributes:
      place: index into the active classes.
      confidence: its probability.
      probs: of all active classes.
    """

    place: Int[Any, "*b h w"]
    confidence: Float[Any, "*b h w"]
    probs: Float[Any, "*b h w c"]


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

_SIGHT = 3
"""Pixels around one that its features depend on."""

_SIDE = 96
_WHOLE = 640 * 480  # pixels up to which nearly every tile of a frame holds a dispute
_WHOLE_BYTES = 1 << 31


def tile_side(height: int, width: int, num_classes: int) -> int | None:
    """Side of the tiles in which large frames are decided; None: they are small enough.

    Args:
      height: of the frames.
      width: of the frames.
      num_classes: active ones.
    """
    # Votes and maps of every class, features; of two chains.
    floats = 16 * num_classes + 200
    small = height * width <= _WHOLE and 2 * 4 * floats * height * width <= _WHOLE_BYTES
    return None if small else _SIDE


def smooth_disputed(
    disputed: Bool[Array, "b h w"],
    candidates: Bool[Array, "b h w c"],
    probs: Float[Array, "b h w c"],
    share: float,
) -> Float[Array, "b h w c"]:
    """Lets a disputed pixel hear its eight neighbours; where all guesses agree nothing changes.

    What nobody votes for stays out.

    Args:
      disputed: where hypotheses differ.
      candidates: classes that a hypothesis votes for.
      probs: of the chooser.
      share: see ``neighbours_share``.
    """
    if not share:
        return probs
    heard = ((1.0 - share) * probs + share * box_mean(probs, 1)) * candidates
    heard = heard / jnp.maximum(jnp.sum(heard, axis=-1, keepdims=True), 1e-6)
    return jnp.where(disputed[..., None], heard, probs)


def neighbours_share(width: int, widths: tuple[int, int]) -> float:
    """How far a pixel hears its neighbours, 0 … 1, in a picture of this width.

    Args:
      width: of the picture, in pixels.
      widths: see ``Doubt.neighbours_width``.
    """
    none, full = widths
    return min(max((width - none) / max(full - none, 1), 0.0), 1.0)


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
    tile: int | None = None,
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
      tile: side of the tiles; by default that of ``tile_side``. Results are the same.
      doubt: what is done to its answers.

    Returns:
      The new carry, and what was chosen.
    """
    _, height, width, classes = carry.stepwise.shape
    warp_inpaint = make_step(build_carrier("soft", classes), mask)
    inpainted, _ = warp_inpaint(carry.inpainted, now.cues)
    carry = advance(carry, now)._replace(inpainted=inpainted)
    # Of a chain that stands still at its end nothing is asked any more.
    differs = in_dispute(carry, now) & (now.cues.active > 0)[:, None, None]
    share = neighbours_share(width, doubt.neighbours_width)

    def choose(wanted: Array, tile: Blocks | None) -> Array:
        return _choose(network, variables, reliability, carry, now, share, wanted, tile)

    tile = tile_side(height, width, classes) if tile is None else tile
    if tile is None:
        chosen = choose(differs, None)
    else:
        chosen = in_blocks(
            lambda blocks: choose(blocks.cut(differs), blocks),
            differs,
            jnp.zeros_like(carry.stepwise),
            side=tile,
            rim=_SIGHT + PIXEL_REACH + class_reach(variables) + 1,
            at_once=1,
        )
    composed, _ = warp_labels(carry.key.label, carry.composed)
    chosen = favour_inpainted(chosen, carry.inpainted, composed, carry.step, doubt)
    probs = jnp.where(differs[..., None], chosen, 0.5 * (carry.stepwise + now.cues.probs))
    if recursive:
        carry = carry._replace(stepwise=probs)
    choice = Choice(jnp.argmax(probs, axis=-1), jnp.max(probs, axis=-1), probs)
    return carry, choice


class _Seen(NamedTuple):
    """What is kept of hypotheses.

    Attributes:
      votes: of the hypotheses.
      features: see ``frame_features``.
      candidates: classes that one of them votes for.
      disputed: where they differ.
    """

    votes: Float[Array, "b h w c n"]
    features: Float[Array, "b h w f"]
    candidates: Bool[Array, "b h w c"]
    disputed: Bool[Array, "b h w"]


def _choose(
    network: Network,
    variables: Any,
    reliability: Float[Array, "b c 2"],
    carry: Carry,
    now: StepCues,
    share: float,
    wanted: Bool[Array, "n h w"],
    tile: Blocks | None,
) -> Float[Array, "n h w c"]:
    """Probabilities of the chooser at the wanted pixels of some tiles, or of all chains' frames.

    Each part is worked out no farther around these pixels than the next one looks; the map of a
    class only where that is a candidate of one of them.
    """
    n, height, width = wanted.shape
    chains = jnp.arange(n) if tile is None else tile.picture

    def look(blocks: Blocks) -> _Seen:
        found = guess(carry, now, blocks if tile is None else blocks.within(tile))
        votes = jnp.moveaxis(found.votes, (-2, -1), (0, 1))
        winner = jnp.argmax(votes, axis=1)
        return _Seen(
            jnp.swapaxes(found.votes, -2, -1),
            frame_features(found),
            jnp.moveaxis(jnp.max(votes, axis=0) > CANDIDATE, 0, -1),
            jnp.any(winner != winner[:1], axis=0),
        )

    classes = carry.stepwise.shape[-1]
    asked = grow(wanted, 1) if share else wanted
    blocks = functools.partial(Blocks, *jnp.zeros((3, 1), jnp.int32))
    sizes = jax.eval_shape(lambda: look(blocks((1, 1))))
    blank = jax.tree.map(lambda a: jnp.zeros((n, height, width, *a.shape[3:]), a.dtype), sizes)
    reach = class_reach(variables)
    needed = grow(asked, PIXEL_REACH + reach)
    seen = in_blocks(look, needed, blank, side=32, rim=_SIGHT, at_once=4)
    pixels = network.apply(variables, seen.features, part="pixels")
    wanted_classes = jnp.moveaxis(seen.candidates & asked[..., None], -1, 1)

    def score(blocks: Blocks) -> Array:
        picture, place = jnp.divmod(blocks.picture, classes)
        here = blocks._replace(picture=picture)
        votes = here.cut_channel(seen.votes, place)
        own = votes[..., HYPOTHESES.index("segmentation")]
        known = what_is_known(own, reliability[chains[picture], place][:, None, None])
        return network.apply(variables, votes, known, here.cut(pixels), part="classes")

    logits = in_blocks(
        score,
        wanted_classes.reshape(n * classes, height, width),
        jnp.full((n * classes, height, width), NOT_A_CANDIDATE, pixels.dtype),
        side=24,
        rim=reach,
        at_once=8,
    )
    logits = jnp.moveaxis(logits.reshape(n, classes, height, width), 1, -1)
    logits = jnp.where(seen.candidates, logits, NOT_A_CANDIDATE)
    probs = jax.nn.softmax(logits, axis=-1)
    return smooth_disputed(seen.disputed, seen.candidates, probs, share)
