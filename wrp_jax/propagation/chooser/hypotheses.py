"""Several guesses at the label of every pixel, for a refiner to choose from.

Flow drifts, loses what it occluded, and knows nothing of what enters the picture; g_ψ knows
classes but not this scene. Each guess fails elsewhere. All of them are computed inside the
scan's step from a carry of fixed size, so memory does not grow with the chain:

  stepwise      soft labels warped step by step (a recursive refiner replaces this state)
  composed      the key label, warped once by the composed flow
  stride        the same through strides of three frames: fewer, longer flows drift less
  direct        one flow from the frame to the key frame, started from the composed flow
  fresh         one flow from the frame to the key frame, started from zero
  static        the key label as it stands
  segmentation  softmax of g_ψ
  lookup        appearance look-up around the composed position (``ops/lookup.py``)
  lookup_direct the same around the direct position

Votes are distributions over the *active* classes of the window (``active_classes``), which are
few even where the data set has many.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from wrp_jax.ops.blocks import Blocks
from wrp_jax.ops.filters import box_mean, gradient_magnitude
from wrp_jax.ops.lookup import lookup
from wrp_jax.ops.pixels import unit_range
from wrp_jax.ops.warp import compose_flow, warp, warp_labelled, warp_labels
from wrp_jax.types import Cues

HYPOTHESES = (
    "stepwise",
    "composed",
    "stride",
    "direct",
    "fresh",
    "static",
    "segmentation",
    "lookup",
    "lookup_direct",
)

STRIDE = 3
"""Frames that one leg of the ``stride`` hypothesis spans."""

_PATCH = 2  # half side of the square over which photometric errors are averaged


class LongFlows(NamedTuple):
    """Backward flows over more than one frame, along chains; they live on the target frame.

    Attributes:
      stride: into the last frame whose step number is a multiple of ``STRIDE``.
      direct: into the key frame, estimated from the composed flow on.
      fresh: into the key frame, estimated from nothing.
    """

    stride: Float[Any, "*t b h w 2"]
    direct: Float[Any, "*t b h w 2"]
    fresh: Float[Any, "*t b h w 2"]


class StepCues(NamedTuple):
    """What one step of the hypotheses reads; a scan runs over these with time in front.

    Attributes:
      cues: of the step from the previous frame; ``probs`` are over the active classes, and
        ``features`` have no channels.
      long: flows over more than one frame.
    """

    cues: Cues
    long: LongFlows


class Key(NamedTuple):
    """The labelled frame.

    Attributes:
      image: RGB, 0 … 1.
      label: indices into the active classes.
      onehot: the label as a distribution.
    """

    image: Float[Array, "b h w 3"]
    label: Int[Array, "b h w"]
    onehot: Float[Array, "b h w c"]


class Carry(NamedTuple):
    """State of the scan: the key frame and what the steps so far add up to.

    Attributes:
      key: the labelled frame (constant).
      stepwise: soft labels on the current frame, warped at every step.
      composed: current frame into the key frame.
      anchor: from the last frame at a multiple of ``STRIDE`` into the key frame, by strides.
      stride: current frame into the key frame, by strides.
      drift: forward-backward errors added up along the way of each pixel, in pixels.
      age: 1 where the pixel came from outside the picture at some step.
      inpainted: soft labels of Ψ^W; no guess reads them.
      step: steps taken.
    """

    key: Key
    stepwise: Float[Array, "b h w c"]
    composed: Float[Array, "b h w 2"]
    anchor: Float[Array, "b h w 2"]
    stride: Float[Array, "b h w 2"]
    drift: Float[Array, "b h w"]
    age: Float[Array, "b h w"]
    inpainted: Float[Array, "b h w c"]
    step: Int[Array, ""]


class Hypotheses(NamedTuple):
    """The guesses for one frame, in the order of ``HYPOTHESES``.

    Attributes:
      votes: distributions over the active classes.
      error: root mean square photometric error of each guess' match, RGB in 0 … 1; for the
        stepwise labels that of the composed flow; for g_ψ one minus its largest probability.
      valid: 1 where the guess looked inside the picture.
      drift, age: of ``Carry``.
      spread: distance in pixels of the composed, stride and fresh positions from the direct one.
      speed: length of the direct flow in pixels.
      distance: steps from the key frame; scalar, or one per chain as ``[b, 1, 1]``.
      image: the target image.
    """

    votes: Float[Any, "b h w n c"]
    error: Float[Any, "b h w n"]
    valid: Float[Any, "b h w n"]
    drift: Float[Any, "b h w"]
    age: Float[Any, "b h w"]
    spread: Float[Any, "b h w 3"]
    speed: Float[Any, "b h w"]
    distance: Int[Any, "*any"]
    image: Float[Any, "b h w 3"]


def init_carry(
    frame: UInt8[Array, "b h w 3"], label: Int[Array, "b h w"], num_classes: int
) -> Carry:
    """The carry at the key frame (eq. 2): nothing has moved yet.

    Args:
      frame: the key frame, RGB.
      label: indices into the active classes, -1 outside.
      num_classes: active ones.
    """
    b, h, w = label.shape
    image = unit_range(frame)
    onehot = jax.nn.one_hot(label, num_classes, dtype=image.dtype)
    still = jnp.zeros((b, h, w, 2), image.dtype)
    nothing = jnp.zeros((b, h, w), image.dtype)
    return Carry(
        key=Key(image, label, onehot),
        stepwise=onehot,
        composed=still,
        anchor=still,
        stride=still,
        drift=nothing,
        age=nothing,
        inpainted=onehot,
        step=jnp.zeros((), jnp.int32),
    )


def _match_error(image: Array, moved: Array) -> Array:
    """Root mean square RGB difference over the patch around each pixel, ``[b, h, w]``."""
    squared = jnp.mean((image - moved) ** 2, axis=-1, keepdims=True)
    return jnp.sqrt(box_mean(jax.lax.optimization_barrier(squared), _PATCH)[..., 0] + 1e-8)


def advance(carry: Carry, now: StepCues) -> Carry:
    """Moves the carry onto the next frame of the chain, but for ``inpainted``, which Ψ^W moves."""
    cues, step = now.cues, carry.step + 1
    # One gather for all that rides along the same flow.
    riding = jnp.concatenate(
        [carry.stepwise, carry.drift[..., None], carry.age[..., None]], axis=-1
    )
    moved, inside = warp(riding, cues.flow)
    # Void flow (NaN) counts as a bad error, and below as standing still.
    drift = moved[..., -2] + jnp.nan_to_num(jnp.minimum(cues.consistency, 20.0), nan=20.0)
    age = jnp.maximum(moved[..., -1], 1.0 - inside)
    composed, _ = compose_flow(cues.flow, carry.composed)
    stride, _ = compose_flow(now.long.stride, carry.anchor)
    anchor = jnp.where(step % STRIDE == 0, stride, carry.anchor)
    return carry._replace(
        stepwise=moved[..., :-2], composed=composed, anchor=anchor, stride=stride, drift=drift,
        age=age, step=step,
    )  # fmt: skip


def in_dispute(carry: Carry, now: StepCues) -> Bool[Array, "b h w"]:
    """Where guesses differ at the frame that ``advance`` has just reached.

    The look-ups are left aside: they cost more than all the others, and hardly ever differ alone.
    """
    first = jnp.argmax(carry.stepwise, axis=-1)
    differs = (carry.key.label != first) | (jnp.argmax(now.cues.probs, axis=-1) != first)
    for flow in (carry.composed, carry.stride, now.long.direct, now.long.fresh):
        differs |= warp_labels(carry.key.label, flow)[0] != first
    return differs


def guess(carry: Carry, now: StepCues, blocks: Blocks | None = None) -> Hypotheses:
    """All guesses at the frame that ``advance`` has just reached with these cues.

    Args:
      carry: of the frame.
      now: cues of the frame.
      blocks: parts of the chains' frames to guess at; all of them unless given.
    """
    key, num_classes, step = carry.key, carry.stepwise.shape[-1], carry.step
    if blocks is None:
        chains = jnp.arange(carry.stepwise.shape[0])
        shift = jnp.zeros((len(chains), 1, 1, 2), carry.composed.dtype)
        own, seen = (key.image, key.label), (carry._replace(key=(), step=()), now)
    else:
        chains = blocks.picture
        shift = jnp.stack([blocks.left, blocks.top], -1)[:, None, None]
        shift = shift.astype(carry.composed.dtype)
        own = blocks.cut((key.image, key.label))
        read = now.cues._replace(
            flow=(), valid=(), photometric=(), consistency=(), features=(), active=()
        )
        seen = blocks.cut((carry._replace(key=(), step=()), StepCues(read, now.long)))
    carry, (cues, long) = seen
    own_image, own_label = own
    direct, fresh = jnp.nan_to_num(long.direct), jnp.nan_to_num(long.fresh)
    votes, errors, valid = [carry.stepwise], [], [1.0 - carry.age]
    for flow in (carry.composed, carry.stride, long.direct, long.fresh):
        finite = jnp.all(jnp.isfinite(flow), axis=-1, keepdims=True)
        moved = warp_labelled(
            key.image, key.label, jnp.where(finite, flow, 0) + shift, num_classes, chains
        )
        votes.append(moved.votes)
        errors.append(_match_error(cues.image, moved.image))
        valid.append(moved.valid & finite[..., 0])
    twice = functools.partial(jnp.tile, reps=(2, 1, 1, 1))
    found = lookup(
        twice(cues.image),
        key.image,
        key.label,
        jnp.concatenate([carry.composed, direct]) + twice(shift),
        num_classes=num_classes,
        source=jnp.tile(chains, 2),
    )
    onehot = jax.nn.one_hot(own_label, num_classes, dtype=carry.stepwise.dtype)
    votes += [onehot, cues.probs, *jnp.split(found.votes, 2)]
    errors += [
        _match_error(cues.image, own_image),
        1.0 - jnp.max(cues.probs, axis=-1),
        *jnp.split(jnp.sqrt(found.distance + 1e-8), 2),
    ]
    static = jnp.ones_like(carry.age)
    valid += [static, static, valid[1], valid[3]]
    # Stepwise labels have no match of their own: the composed position stands for it.
    errors.insert(0, errors[0])
    others = jnp.stack([carry.composed, carry.stride, fresh], axis=-2)
    others = others - direct[..., None, :]
    # Pixels lie side by side in memory, classes and guesses apart: loops over pixels are fast.
    # The axes are moved for the reader; compiled along with what moves them back, nothing is.
    planes = jnp.stack([jnp.moveaxis(v, -1, 0) for v in votes])
    return Hypotheses(
        votes=jnp.moveaxis(planes, (0, 1), (-2, -1)),
        error=jnp.stack(errors, axis=-1),
        valid=jnp.stack(valid, axis=-1).astype(carry.stepwise.dtype),
        drift=carry.drift,
        age=carry.age,
        spread=jnp.sqrt(jnp.sum(others**2, axis=-1) + 1e-8),
        speed=jnp.sqrt(jnp.sum(direct**2, axis=-1) + 1e-8),
        distance=step,
        image=cues.image,
    )


def active_classes(
    key_label: np.ndarray, probs: np.ndarray, *, multiple: int = 4, threshold: float = 0.1
) -> np.ndarray:
    """Classes that can win anywhere in a window: those of the key label and of g_ψ.

    Args:
      key_label: int ``[..., h, w]``, class indices of what is labelled.
      probs: ``[n, h, w, num_classes]``, softmax of g_ψ on the window's frames.
      multiple: the list is padded to a multiple of this, so that few shapes are compiled.
      threshold: smallest largest probability for g_ψ to bring in a class.

    Returns:
      int32 class indices in ascending order, padded with -1.
    """
    seen = np.unique(key_label[(key_label >= 0) & (key_label < probs.shape[-1])])
    said = np.flatnonzero(probs.max(axis=(0, 1, 2)) > threshold)
    classes = np.union1d(seen, said).astype(np.int32)
    padding = -len(classes) % multiple
    return np.concatenate([classes, np.full(padding, -1, np.int32)])


def active_indices(label: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Class indices → int32 indices into the active classes, -1 where these lack the class."""
    size = max(int(label.max(initial=0)), int(active.max(initial=0))) + 2
    inverse = np.full(size, -1, np.int32)
    for place, index in enumerate(active):
        if index >= 0:
            inverse[index] = place
    return inverse[np.where(label < 0, size - 1, label)]


def compact(array: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Picks the active classes out of the last axis; padded places become zero."""
    picked = np.take(array, np.maximum(active, 0), axis=-1)
    picked[..., active < 0] = 0
    return picked


def frame_features(hypotheses: Hypotheses) -> Float[Array, "b h w f"]:
    """What a chooser may know of a pixel besides the votes; the same for every class.

    Errors, validity, where positions agree, how alike every two hypotheses vote, and local image
    contrast. No absolute colour and no position: with a handful of labelled frames those would
    be learned by heart.
    """
    h = hypotheses
    # As ``guess`` has them: pixels side by side.
    votes = jax.lax.optimization_barrier(jnp.moveaxis(h.votes, (-2, -1), (0, 1)))
    rows = votes.reshape(*votes.shape[:2], -1)  # one loop over all pixels, class after class

    def likeness(n: int, m: int) -> Array:
        products = [rows[n, c] * rows[m, c] for c in range(rows.shape[1])]
        return functools.reduce(jnp.add, products).reshape(votes.shape[2:])

    alike = [likeness(n, m) for n, m in itertools.combinations(range(len(votes)), 2)]
    own = votes[HYPOTHESES.index("segmentation")]
    entropy = -jnp.sum(own * jnp.log(own + 1e-6), axis=0)
    contrast = 4.0 * (h.image - box_mean(h.image, 3))
    planes = [
        *(5.0 * jnp.moveaxis(h.error, -1, 0)),
        *jnp.moveaxis(h.valid, -1, 0),
        *jnp.log1p(jnp.moveaxis(h.spread, -1, 0)),
        *alike,
        jnp.log1p(h.drift),
        h.age,
        0.5 * jnp.log1p(h.speed),
        entropy,
        jnp.broadcast_to(h.distance.astype(entropy.dtype) / 10.0, entropy.shape),
        5.0 * gradient_magnitude(h.image),
        *jnp.moveaxis(contrast, -1, 0),
    ]
    return jnp.moveaxis(jnp.stack(planes), 0, -1)


def class_features(
    hypotheses: Hypotheses, reliability: Float[Array, "b c 2"]
) -> Float[Array, "b h w m c"]:
    """What a chooser may know of a class besides its votes: how far to believe g_ψ in it.

    Recall and precision of g_ψ, as they are and where it says so.

    Args:
      hypotheses: of b chains.
      reliability: see ``agreement.recall_and_precision``, of the active classes.
    """
    own = hypotheses.votes[..., HYPOTHESES.index("segmentation"), :]
    return jnp.swapaxes(what_is_known(own, reliability[:, None, None]), -2, -1)


def what_is_known(
    own: Float[Array, "*s"], reliability: Float[Array, "*#s 2"]
) -> Float[Array, "*s 4"]:
    """Recall and precision of g_ψ in a class, as they are and where it says so.

    Args:
      own: probability that g_ψ gives the class.
      reliability: recall and precision; the shape in front may be broadcast.
    """
    everywhere = jnp.broadcast_to(reliability, (*own.shape, 2))
    return jnp.concatenate([everywhere, own[..., None] * everywhere], axis=-1)
