"""Training examples of the chooser: small crops of hypotheses with the true label."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.propagation.chooser.chains import active_only, step_cues
from wrp_jax.propagation.chooser.choose import HALO
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    Hypotheses,
    LongFlows,
    StepCues,
    active_classes,
    active_indices,
    advance,
    compact,
    guess,
    in_dispute,
    init_carry,
    moving_part,
    seen_part,
)
from wrp_jax.propagation.cues import ChainInputs, lay_out
from wrp_jax.types import ClipCues

CROP = 64
"""Side of a crop in pixels; frames that are smaller are padded up to it."""

CANDIDATES = 6
"""Classes kept per crop: those with the most votes. Few crops hold more."""

NO_LABEL = -1
"""Where the truth is not among a crop's candidates, or unknown."""

_init_carry = jax.jit(init_carry, static_argnames="num_classes")
_in_dispute = jax.jit(in_dispute)


@functools.partial(jax.jit, static_argnames="size")
def _guess_part(
    carry: Carry, now: StepCues, origin: tuple[Any, Any], size: tuple[int, int]
) -> Hypotheses:
    """What ``guess`` says in a part of the frame."""
    return guess(moving_part(carry, origin, size), seen_part(now, origin, size), origin)


@jax.jit
def _advance(carry: Carry, chain: ChainInputs, long: LongFlows) -> tuple[Carry, StepCues]:
    """The next step of a chain."""
    now = step_cues(chain, long)
    return advance(carry, now), now


class Moment(NamedTuple):
    """A chain at one of its steps.

    Attributes:
      step: counted from 1.
      active: active classes, see ``hypotheses.active_classes``.
      carry: at the frame that the step leads to.
      cues: of the step.
    """

    step: int
    active: np.ndarray
    carry: Carry
    cues: StepCues

    def labels(self) -> Int[np.ndarray, "b h w"]:
        """What stepwise labels say, class indices."""
        return self.active[np.asarray(jnp.argmax(self.carry.stepwise, axis=-1))]


class Crop(NamedTuple):
    """One example, or a batch of them: compact dtypes, see ``unpack``.

    Attributes:
      hypotheses: votes and image in 1/255, the rest in half precision.
      label: int8, index into the crop's candidates, or ``NO_LABEL``.
      weight: float32 ``[CANDIDATES]``, loss weight of each candidate.
      reliability: float32 ``[CANDIDATES, 2]``, of g_ψ in each, see ``propagation/chooser/``.
    """

    hypotheses: Hypotheses
    label: Int[Any, "*b s s"]
    weight: Float[Any, "*b k"]
    reliability: Float[Any, "*b k 2"]


def pack(hypotheses: Hypotheses) -> Hypotheses:
    """To the host and to compact dtypes."""
    h = jax.tree.map(np.asarray, hypotheses)
    eight = {name: np.round(255 * getattr(h, name)).astype(np.uint8) for name in ("votes", "image")}
    half = ("error", "valid", "drift", "age", "spread", "speed")
    return h._replace(**eight, **{name: getattr(h, name).astype(np.float16) for name in half})


def unpack(hypotheses: Hypotheses) -> Hypotheses:
    """The inverse of ``pack``, as float32, inside jit."""
    h = jax.tree.map(lambda a: jnp.asarray(a).astype(jnp.float32), hypotheses)
    return h._replace(votes=h.votes / 255.0, image=h.image / 255.0)


def chain_moments(
    clip: ClipCues,
    long: LongFlows,
    orders: Int[np.ndarray, "b steps"],
    key_label: Int[np.ndarray, "h w"],
    steps: frozenset[int],
) -> Iterator[Moment]:
    """Runs chains and stops at some of their steps.

    Args:
      clip: cues; ``probs`` are read at the frames of these steps only.
      long: flows of these chains.
      orders: frames visited, the key frame first.
      key_label: class indices of the key frame.
      steps: where to stop, counted from 1.
    """
    active = active_classes(key_label, clip.probs)
    label = np.stack([active_indices(key_label, active)] * len(orders))
    carry = _init_carry(clip.frames[orders[:, 0]], label, num_classes=len(active))
    clip = clip._replace(features=clip.features[..., :0])  # no hypothesis reads them
    for t in range(orders.shape[1] - 1):
        chain = active_only(lay_out(clip, orders[:, t : t + 2]), active)
        carry, now = _advance(carry, chain, jax.tree.map(lambda a, t=t: a[t], long))
        if t + 1 in steps:
            yield Moment(t + 1, active, carry, now)


def cut_crops(
    rng: np.random.Generator,
    moment: Moment,
    label: Int[np.ndarray, "h w"],
    class_weights: Float[np.ndarray, " classes"],
    reliability: Float[np.ndarray, "classes 2"],
    *,
    count: int,
    disputed: float = 0.85,
) -> Iterator[Crop]:
    """Cuts crops, most of them where hypotheses disagree; guesses are made there alone.

    Args:
      rng: source of the positions.
      moment: of one chain.
      label: the truth, class indices.
      class_weights: loss weight per class index.
      reliability: of g_ψ in the clip, per class index.
      count: crops.
      disputed: share of the crops that hold a pixel in dispute.
    """
    place = active_indices(label, moment.active)
    weights = compact(class_weights, moment.active)
    trust = compact(reliability.T, moment.active).T
    height, width = label.shape
    core = min(CROP, height), min(CROP, width)
    whole = min(CROP + 2 * HALO, height), min(CROP + 2 * HALO, width)
    ys, xs = np.nonzero(np.asarray(_in_dispute(moment.carry, moment.cues))[0])
    for _ in range(count):
        if len(ys) and rng.uniform() < disputed:
            i = int(rng.integers(len(ys)))
            y, x = ys[i] - rng.integers(CROP), xs[i] - rng.integers(CROP)
        else:
            y, x = rng.integers(height), rng.integers(width)
        y, x = int(np.clip(y, 0, height - core[0])), int(np.clip(x, 0, width - core[1]))
        # Seen with a rim that is thrown away, unless the frame ends there.
        top = int(np.clip(y - HALO, 0, height - whole[0]))
        left = int(np.clip(x - HALO, 0, width - whole[1]))
        seen = pack(_guess_part(moment.carry, moment.cues, (top, left), whole))
        rows, columns = slice(y - top, y - top + core[0]), slice(x - left, x - left + core[1])
        fields = {
            name: _at_least(getattr(seen, name)[0, rows, columns], CROP)
            for name in seen._fields
            if name != "distance"
        }
        distance = np.full((1, 1), seen.distance, np.float32)
        truth = _at_least(place[y : y + core[0], x : x + core[1]], CROP)
        yield _keep_candidates(Hypotheses(distance=distance, **fields), truth, weights, trust)


def _keep_candidates(
    cut: Hypotheses, truth: np.ndarray, weights: np.ndarray, reliability: np.ndarray
) -> Crop:
    total = cut.votes.max(-2).astype(np.int64).sum((0, 1))
    kept = np.argsort(-total, kind="stable")[:CANDIDATES]
    label = np.full(truth.shape, NO_LABEL, np.int8)
    for place, c in enumerate(kept):
        label[truth == c] = place
    missing = CANDIDATES - len(kept)
    votes = np.pad(cut.votes[..., kept], [(0, 0)] * 3 + [(0, missing)])
    weight = np.pad(weights[kept].astype(np.float32), (0, missing))
    trust = np.pad(reliability[kept].astype(np.float32), [(0, missing), (0, 0)])
    return Crop(cut._replace(votes=votes), label, weight, trust)


def _at_least(array: np.ndarray, size: int) -> np.ndarray:
    """Mirrors the two leading axes up to a size."""
    pad = [(0, max(0, size - n)) for n in array.shape[:2]]
    if not any(p[1] for p in pad):
        return array
    return np.pad(array, pad + [(0, 0)] * (array.ndim - 2), mode="symmetric")
