"""Training examples of the chooser: small crops of hypotheses with the true label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.propagation.chains import step_cues
from wrp_jax.propagation.hypotheses import (
    Hypotheses,
    LongFlows,
    active_classes,
    advance,
    compact,
    guess,
    init_carry,
    places_of,
)
from wrp_jax.types import ClipCues

CROP = 64
"""Side of a crop in pixels; frames that are smaller are padded up to it."""

CANDIDATES = 6
"""Classes kept per crop: those with the most votes. Few crops hold more."""

NO_LABEL = -1
"""Where the truth is not among a crop's candidates, or unknown."""

_advance = jax.jit(advance)
_guess = jax.jit(guess)


class Crop(NamedTuple):
    """One example, or a batch of them: compact dtypes, see ``unpack``.

    Attributes:
      hypotheses: votes and image in 1/255, the rest in half precision.
      label: int8, index into the crop's candidates, or ``NO_LABEL``.
      weight: float32 ``[CANDIDATES]``, loss weight of each candidate.
      reliability: float32 ``[CANDIDATES, 2]``, of g_ψ in each, see ``propagation/agreement.py``.
    """

    hypotheses: Any
    label: Any
    weight: Any
    reliability: Any


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


def chain_guesses(
    clip: ClipCues,
    long: LongFlows,
    orders: Int[np.ndarray, "b steps"],
    key_label: Int[np.ndarray, "h w"],
    steps: frozenset[int],
) -> Iterator[tuple[int, np.ndarray, Hypotheses, np.ndarray]]:
    """Runs chains and guesses at some of their steps.

    Args:
      clip: cues; ``probs`` are read at the guessed frames only.
      long: flows of these chains.
      orders: frames visited, the key frame first.
      key_label: class indices of the key frame.
      steps: where to guess, counted from 1.

    Yields:
      Step, active classes, hypotheses (on the device), and the chain's labels as class indices.
    """
    active = active_classes(key_label, clip.probs)
    cues = step_cues(clip, long, orders, active)
    b, key = len(orders), int(orders[0, 0])
    label = np.stack([places_of(key_label, active)] * b)
    image = np.stack([np.asarray(clip.images[key])] * b)
    carry = init_carry(jnp.asarray(image), jnp.asarray(label), len(active))
    for t in range(orders.shape[1] - 1):
        now = jax.tree.map(lambda a, t=t: jnp.asarray(a[t]), cues)
        carry = _advance(carry, now)
        if t + 1 in steps:
            labels = active[np.asarray(jnp.argmax(carry.chain, axis=-1))]
            yield t + 1, active, _guess(carry, now), labels


def cut_crops(
    rng: np.random.Generator,
    hypotheses: Hypotheses,
    label: Int[np.ndarray, "b h w"],
    active: Int[np.ndarray, " c"],
    class_weights: Float[np.ndarray, " classes"],
    reliability: Float[np.ndarray, "classes 2"],
    *,
    count: int,
    disputed: float = 0.85,
) -> list[Crop]:
    """Cuts crops, most of them where hypotheses disagree.

    Args:
      rng: source of the positions.
      hypotheses: of b chains.
      label: the truth, class indices.
      active: active classes of the hypotheses.
      class_weights: loss weight per class index.
      reliability: of g_ψ in the clip, per class index.
      count: crops per chain.
      disputed: share of the crops that hold a pixel in dispute.
    """
    packed = pack(hypotheses)
    places = places_of(label, active)
    weights = compact(class_weights, active)
    trust = compact(reliability.T, active).T
    crops = []
    for b in range(len(label)):
        h = Hypotheses(*(a[b] if a.ndim > 1 else np.float32(a.reshape(-1)[0]) for a in packed))
        fields = {name: _at_least(getattr(h, name), CROP) for name in h._fields[:-2]}
        image = _at_least(h.image, CROP)
        truth = _at_least(places[b], CROP)
        winner = fields["votes"].argmax(-1)
        ys, xs = np.nonzero((winner != winner[..., :1]).any(-1))
        height, width = truth.shape
        for _ in range(count):
            if len(ys) and rng.uniform() < disputed:
                i = int(rng.integers(len(ys)))
                y, x = ys[i] - rng.integers(CROP), xs[i] - rng.integers(CROP)
            else:
                y, x = rng.integers(height), rng.integers(width)
            y, x = int(np.clip(y, 0, height - CROP)), int(np.clip(x, 0, width - CROP))
            part = slice(y, y + CROP), slice(x, x + CROP)
            cut = Hypotheses(
                **{name: a[part] for name, a in fields.items()},
                distance=np.full((1, 1), h.distance, np.float32),
                image=image[part],
            )
            crops.append(_keep_candidates(cut, truth[part], weights, trust))
    return crops


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
