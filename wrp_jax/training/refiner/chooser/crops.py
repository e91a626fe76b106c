"""Training examples of the chooser: small crops of hypotheses with the true label."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int, Int8

from wrp_jax.ops.blocks import Blocks
from wrp_jax.propagation.chooser.hypotheses import (
    Carry,
    Hypotheses,
    StepCues,
    active_indices,
    compact,
    guess,
    in_dispute,
)
from wrp_jax.training.refiner.chooser.chain_states import ChainState
from wrp_jax.training.refiner.padding import pad_to_size

CROP = 64
"""Side of a crop in pixels; frames that are smaller are padded up to it."""

RIM = 3
"""Pixels around a crop that guesses in it depend on."""

CANDIDATES = 6
"""Classes kept per crop: those with the most votes. Few crops hold more."""

NO_LABEL = -1
"""Where the truth is not among a crop's candidates, or unknown."""

_in_dispute = jax.jit(in_dispute)


@functools.partial(jax.jit, static_argnames="size")
def _guess_part(
    carry: Carry, now: StepCues, origin: tuple[Any, Any], size: tuple[int, int]
) -> Hypotheses:
    """What ``guess`` says in a part of the frame."""
    top, left = (jnp.asarray([place]) for place in origin)
    return guess(carry, now, Blocks(jnp.zeros(1, jnp.int32), top, left, size))


class ChooserCrop(NamedTuple):
    """One example, or a batch of them: compact dtypes, see ``unpack``.

    ``s`` is ``CROP``, ``k`` is ``CANDIDATES``; a batch has an axis in front.

    Attributes:
      hypotheses: votes and image in 1/255, the rest in half precision.
      label: index into the crop's candidates, or ``NO_LABEL``.
      weight: loss weight of each candidate.
      reliability: recall and precision of g_ψ in each, see ``propagation/chooser/agreement.py``.
    """

    hypotheses: Hypotheses
    label: Int8[Any, "*batch s s"]
    weight: Float32[Any, "*batch k"]
    reliability: Float32[Any, "*batch k 2"]


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


def cut_crops(
    rng: np.random.Generator,
    state: ChainState,
    label: Int[np.ndarray, "h w"],
    class_weights: Float[np.ndarray, " classes"],
    reliability: Float[np.ndarray, "classes 2"],
    *,
    count: int,
    disputed: float = 0.85,
) -> Iterator[ChooserCrop]:
    """Cuts crops, most of them where hypotheses disagree; guesses are made there alone.

    Args:
      rng: source of the positions.
      state: of one chain.
      label: the truth, class indices.
      class_weights: loss weight per class index.
      reliability: of g_ψ in the clip, per class index.
      count: crops.
      disputed: share of the crops that hold a pixel in dispute.
    """
    place = active_indices(label, state.active)
    weights = compact(class_weights, state.active)
    trust = compact(reliability.T, state.active).T
    height, width = label.shape
    core = min(CROP, height), min(CROP, width)
    whole = min(CROP + 2 * RIM, height), min(CROP + 2 * RIM, width)
    ys, xs = np.nonzero(np.asarray(_in_dispute(state.carry, state.cues))[0])
    for _ in range(count):
        if len(ys) and rng.uniform() < disputed:
            i = int(rng.integers(len(ys)))
            y, x = ys[i] - rng.integers(CROP), xs[i] - rng.integers(CROP)
        else:
            y, x = rng.integers(height), rng.integers(width)
        y, x = int(np.clip(y, 0, height - core[0])), int(np.clip(x, 0, width - core[1]))
        # Seen with a rim that is thrown away, unless the frame ends there.
        top = int(np.clip(y - RIM, 0, height - whole[0]))
        left = int(np.clip(x - RIM, 0, width - whole[1]))
        seen = pack(_guess_part(state.carry, state.cues, (top, left), whole))
        rows, columns = slice(y - top, y - top + core[0]), slice(x - left, x - left + core[1])
        fields = {
            name: pad_to_size(getattr(seen, name)[0, rows, columns], CROP)
            for name in seen._fields
            if name != "distance"
        }
        distance = np.full((1, 1), seen.distance, np.float32)
        truth = pad_to_size(place[y : y + core[0], x : x + core[1]], CROP)
        yield _keep_candidates(Hypotheses(distance=distance, **fields), truth, weights, trust)


def _keep_candidates(
    cut: Hypotheses, truth: np.ndarray, weights: np.ndarray, reliability: np.ndarray
) -> ChooserCrop:
    total = cut.votes.max(-2).astype(np.int64).sum((0, 1))
    kept = np.argsort(-total, kind="stable")[:CANDIDATES]
    label = np.full(truth.shape, NO_LABEL, np.int8)
    for place, c in enumerate(kept):
        label[truth == c] = place
    missing = CANDIDATES - len(kept)
    votes = np.pad(cut.votes[..., kept], [(0, 0)] * 3 + [(0, missing)])
    weight = np.pad(weights[kept].astype(np.float32), (0, missing))
    trust = np.pad(reliability[kept].astype(np.float32), [(0, missing), (0, 0)])
    return ChooserCrop(cut._replace(votes=votes), label, weight, trust)


def mirror(crop: ChooserCrop, rng: np.random.Generator) -> ChooserCrop:
    """Flips a crop left to right half of the time; no feature has a direction."""
    if rng.uniform() < 0.5:
        return crop
    h = crop.hypotheses
    flipped = {
        name: np.ascontiguousarray(getattr(h, name)[:, ::-1])
        for name in h._fields
        if name != "distance"
    }
    return crop._replace(
        hypotheses=h._replace(**flipped), label=np.ascontiguousarray(crop.label[:, ::-1])
    )
