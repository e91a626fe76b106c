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

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from wrp_jax.ops.filters import box_mean, gradient_magnitude
from wrp_jax.ops.lookup import lookup
from wrp_jax.ops.pixels import unit_range
from wrp_jax.ops.warp import compose_flow, warp, warp_labels
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
    return jnp.sqrt(box_mean(squared, _PATCH)[..., 0] + 1e-8)


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


def part_of(tree: Any, origin: tuple[Any, Any], size: tuple[int, int]) -> Any:
    """The rows and columns of every ``[b, h, w, ...]`` array from an origin on."""

    def cut(array: Array) -> Array:
        for axis in (0, 1):
            array = jax.lax.dynamic_slice_in_dim(array, origin[axis], size[axis], axis=1 + axis)
        return array

    return jax.tree.map(cut, tree)


def moving_part(carry: Carry, origin: tuple[Any, Any], size: tuple[int, int]) -> Carry:
    """A part of what lives on the target frame; the key frame stays whole."""
    return Carry(carry.key, *part_of(tuple(carry)[1:-1], origin, size), step=carry.step)


def seen_part(now: StepCues, origin: tuple[Any, Any], size: tuple[int, int]) -> StepCues:
    """A part of what ``guess`` reads of the target frame."""
    image, probs, long = part_of((now.cues.image, now.cues.probs, now.long), origin, size)
    return StepCues(now.cues._replace(image=image, probs=probs), long)


def in_dispute(carry: Carry, now: StepCues) -> Bool[Array, "b h w"]:
    """Where guesses differ at the frame that ``advance`` has just reached.

    The look-ups are left aside: they cost more than all the others, and hardly ever differ alone.
    """
    first = jnp.argmax(carry.stepwise, axis=-1)
    differs = (carry.key.label != first) | (jnp.argmax(now.cues.probs, axis=-1) != first)
    for flow in (carry.composed, carry.stride, now.long.direct, now.long.fresh):
        differs |= warp_labels(carry.key.label, flow)[0] != first
    return differs


def guess(
    carry: Carry, now: StepCues, origin: tuple[Int[Array, ""] | int, Int[Array, ""] | int] = (0, 0)
) -> Hypotheses:
    """All guesses at the frame that ``advance`` has just reached with these cues.

    Args:
      carry: of the frame, or of a part of it; the key frame is always whole.
      now: cues of the same part.
      origin: row and column where the part begins.
    """
    cues, long, key, num_classes = now.cues, now.long, carry.key, carry.stepwise.shape[-1]
    own = part_of(key, origin, cues.image.shape[1:3])
    shift = jnp.asarray(origin[::-1], carry.composed.dtype)
    direct, fresh = jnp.nan_to_num(long.direct), jnp.nan_to_num(long.fresh)
    source = jnp.concatenate([key.image, key.onehot], axis=-1)
    votes, errors, valid = [carry.stepwise], [], [1.0 - carry.age]
    for flow in (carry.composed, carry.stride, long.direct, long.fresh):
        finite = jnp.all(jnp.isfinite(flow), axis=-1, keepdims=True)
        seen, there = warp(source, jnp.where(finite, flow, 0) + shift)
        votes.append(seen[..., 3:])
        errors.append(_match_error(cues.image, seen[..., :3]))
        valid.append(there & finite[..., 0])
    found = [
        lookup(cues.image, key.image, key.label, flow + shift, num_classes=num_classes)
        for flow in (carry.composed, direct)
    ]
    votes += [own.onehot, cues.probs, *(f.votes for f in found)]
    errors += [
        _match_error(cues.image, own.image),
        1.0 - jnp.max(cues.probs, axis=-1),
        *(jnp.sqrt(f.distance + 1e-8) for f in found),
    ]
    static = jnp.ones_like(carry.age)
    valid += [static, static, valid[1], valid[3]]
    # Stepwise labels have no match of their own: the composed position stands for it.
    errors.insert(0, errors[0])
    others = jnp.stack([carry.composed, carry.stride, fresh], axis=-2)
    others = others - direct[..., None, :]
    return Hypotheses(
        votes=jnp.stack(votes, axis=-2),
        error=jnp.stack(errors, axis=-1),
        valid=jnp.stack(valid, axis=-1).astype(carry.stepwise.dtype),
        drift=carry.drift,
        age=carry.age,
        spread=jnp.sqrt(jnp.sum(others**2, axis=-1) + 1e-8),
        speed=jnp.sqrt(jnp.sum(direct**2, axis=-1) + 1e-8),
        distance=carry.step,
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


def candidates(votes: Float[Array, "*s n c"], threshold: float = 0.02) -> Bool[Array, "*s c"]:
    """Classes that at least one hypothesis votes for, per pixel."""
    return jnp.max(votes, axis=-2) > threshold


def frame_features(hypotheses: Hypotheses) -> Float[Array, "b h w f"]:
    """What a chooser may know of a pixel besides the votes; the same for every class.

    Errors, validity, where positions agree, how alike every two hypotheses vote, and local image
    contrast. No absolute colour and no position: with a handful of labelled frames those would
    be learned by heart.
    """
    h = hypotheses
    agreement = jnp.einsum("bhwnc,bhwmc->bhwnm", h.votes, h.votes)
    first, second = np.triu_indices(h.votes.shape[-2], 1)
    own = h.votes[..., HYPOTHESES.index("segmentation"), :]
    entropy = -jnp.sum(own * jnp.log(own + 1e-6), axis=-1)
    contrast = 4.0 * (h.image - box_mean(h.image, 3))
    scalars = [
        jnp.log1p(h.drift),
        h.age,
        0.5 * jnp.log1p(h.speed),
        entropy,
        jnp.broadcast_to(h.distance.astype(entropy.dtype) / 10.0, entropy.shape),
        5.0 * gradient_magnitude(h.image),
    ]
    return jnp.concatenate(
        [
            5.0 * h.error,
            h.valid,
            jnp.log1p(h.spread),
            agreement[..., first, second],
            jnp.stack(scalars, axis=-1),
            contrast,
        ],
        axis=-1,
    )


def class_features(
    hypotheses: Hypotheses, reliability: Float[Array, "b c 2"]
) -> Float[Array, "b h w m c"]:
    """What a chooser may know of a class besides its votes: how far to believe g_ψ in it.

    Recall and precision of g_ψ, as they are and where it says so.

    Args:
      hypotheses: of b chains.
      reliability: see ``agreement.recall_and_precision``, of the active classes.
    """
    own = hypotheses.votes[..., HYPOTHESES.index("segmentation"), None, :]
    known = jnp.moveaxis(reliability, -1, 1)[:, None, None]
    everywhere = jnp.broadcast_to(known, (*own.shape[:3], *known.shape[3:]))
    return jnp.concatenate([everywhere, own * known], axis=-2)
