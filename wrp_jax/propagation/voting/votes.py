"""Votes that travel along flows, as pure functions: Marcu et al., "Semantics through Time", ACCV
2020.

Four votes decide a pixel between two labelled frames: for either of them the label at the end of
the pixel's own way there, and that of the labelled frame's pixel which flows the other way carry
here. The two of a labelled frame weigh ``exp(-δ)``, δ being its distance as a share of the gap. In
further rounds every frame but the labelled ones takes the mean of its own votes and of those of the
frames 5 and 10 away on both sides, moved in both ways. Weights, distances and the number of rounds
are those of the authors' published code.

Where frames are small and a gap stands alone, this differs: flows are interpolated (the authors
offer that for small frames, and round positions at their 2048x1080); what comes from outside of the
picture has next to no vote, where theirs repeats the border; in the place of a frame beyond a
labelled one, that one votes. Homographies, off in their code, and the Gaussian filter at its end,
over 7 of their pixels, are left out.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wrp_jax.ops.forward_warp import EMPTY, carry, landing
from wrp_jax.ops.labels import one_hot
from wrp_jax.ops.warp import Extent, compose_flow, inside, warp, warp_one_hot

ROUNDS = 2
"""Rounds after the first vote, which is the first of the authors' three iterations."""
SHORT, LONG = 5, 10
"""Distances, in frames, over which a round gathers votes; the long one is twice the short one."""
_FADING = 1.0
"""β of the authors: how fast the weight of a labelled frame falls over the gap."""
_OUTSIDE = 1e-3
"""Share of its weight that is left to a vote from outside of the picture: alone, it decides."""


def side_weights(frame: int, before: int, after: int) -> tuple[float, float]:
    """What the labelled frames before and after a frame weigh; both are 1 together."""
    share = (frame - before) / (after - before)
    weights = np.exp([-_FADING * share, -_FADING * (1 - share)])
    first, second = weights / weights.sum()
    return float(first), float(second)


def longer_flow(
    flow: Float[Array, "b h w 2"], onward: Float[Array, "b h w 2"], extent: Extent = None
) -> Float[Array, "b h w 2"]:
    """Chains a flow and the one that leads on from its end; NaN where either is void.

    Args:
      flow: on frame A, into frame B.
      onward: on frame B, into frame C.
      extent: of the frames.

    Returns:
      On frame A, into frame C.
    """
    whole, _ = compose_flow(flow, onward, extent)
    return jnp.where(jnp.isfinite(flow), whole, jnp.nan)


def two_votes(
    votes: Float[Array, "b h w c"],
    there: Float[Array, "b h w 2"],
    back: Float[Array, "b h w 2"],
    extent: Extent = None,
) -> Float[Array, "b h w c"]:
    """Votes of another frame, moved to this one in both ways, and added.

    Args:
      votes: of the other frame, 0 … 1.
      there: on this frame, into the other.
      back: on the other frame, into this one.
      extent: of the frames.
    """
    fetched, _ = warp(votes, there, extent)
    return _inside_only(fetched, there, extent) + carry(votes, landing(back, extent))


def label_votes(
    labels: Int[Array, "b h w"],
    there: Float[Array, "b h w 2"],
    back: Float[Array, "b h w 2"],
    num_classes: int,
    extent: Extent = None,
) -> Float[Array, "b h w c"]:
    """``two_votes`` of labelled frames, whose votes are their labels alone."""
    fetched = warp_one_hot(labels, there, num_classes, extent)
    index = landing(back, extent)
    carried = carry(labels[..., None], index)[..., 0]
    own = jnp.where((index != EMPTY)[..., None], one_hot(carried, num_classes), 0)
    return _inside_only(fetched, there, extent) + own


def _inside_only(fetched: Array, flow: Array, extent: Extent) -> Array:
    """Next to nothing of votes that were fetched from outside of the picture."""
    return jnp.where(inside(flow, extent)[..., None], fetched, _OUTSIDE * fetched)


class Ways(NamedTuple):
    """Flows between the labelled frame of each chain and the frame that the chain has come to.

    Attributes:
      there: on that frame, into the labelled one.
      back: on the labelled frame, into that one.
    """

    there: Float[Any, "b h w 2"]
    back: Float[Any, "b h w 2"]


class Steps(NamedTuple):
    """What chains need for their steps, see ``cues.ChainInputs``."""

    flow: Float[Any, "t b h w 2"]
    reverse: Float[Any, "t b h w 2"]
    active: Float[Any, "t b"]


@functools.partial(jax.jit, static_argnames="num_classes")
def votes_along(
    ways: Ways, steps: Steps, labels: Int[Array, "b h w"], extent: Extent, *, num_classes: int
) -> tuple[Ways, Float[Array, "t b h w c"]]:
    """``label_votes`` at every step of some chains.

    Args:
      ways: at the frames where the chains stand; both 0 on the labelled ones.
      steps: that they make.
      labels: of their labelled frames, class indices.
      extent: of the frames.
      num_classes: void included.

    Returns:
      The ways at the last frames, and float16 votes on every frame: up to 2 in all.
    """

    def step(ways: Ways, now: Steps) -> tuple[Ways, Array]:
        moved = Ways(
            longer_flow(now.flow, ways.there, extent), longer_flow(ways.back, now.reverse, extent)
        )
        active = now.active[:, None, None, None] > 0
        ways = jax.tree.map(lambda new, old: jnp.where(active, new, old), moved, ways)
        return ways, label_votes(labels, *ways, num_classes, extent).astype(jnp.float16)

    return jax.lax.scan(step, ways, steps)


@jax.jit
def moved_votes(
    votes: Float[Array, "b h w c"],
    there: Float[Array, "b h w 2"],
    back: Float[Array, "b h w 2"],
    extent: Extent,
) -> Float[Array, "b h w c"]:
    """``two_votes`` of shares."""
    return two_votes(votes.astype(jnp.float32), there, back, extent)


def shares(votes: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    """Votes as shares of all of a pixel, float16, 0 … 1."""
    return (votes / np.maximum(votes.sum(-1, keepdims=True), 1e-9)).astype(np.float16)
