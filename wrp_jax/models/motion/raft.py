"""RAFT, large and small: recurrent refinement of a flow field over all-pairs correlations.

Reference: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV
2020; princeton-vl/RAFT, ``core/raft.py``. Equal to the published networks; see
``tests/models/motion/test_raft.py`` for the figures.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.motion import raft_parts as parts
from wrp_jax.models.network import Network
from wrp_jax.ops import correlation

SIZES = {"raft_large": parts.LARGE, "raft_small": parts.SMALL}
MULTIPLE = 8
"""Height and width of the images must be multiples of this (``padding.py``)."""
SMALLEST = 64
"""Below, the coarsest level of the pyramid is empty. The published networks need 128."""
VOLUME_LIMIT = 2 * 2**30
"""Bytes of correlation pyramid above which lookups are computed on the fly."""
CORRELATIONS = ("auto", "all_pairs", "on_the_fly")


class RaftOutput(NamedTuple):
    """What RAFT returns; flows in pixels, ``(dx, dy)``, on the first image into the second.

    Attributes:
      flow: after the last iteration, at full resolution.
      low_flows: after every iteration, at 1/8 of the size and in pixels of that grid;
        ``low_flows[-1]`` is what the next frame starts from.
      flows: after every iteration, at full resolution; in training only.
    """

    flow: Float[Array, "b h w 2"]
    low_flows: Float[Array, "n b _ _ 2"]
    flows: Float[Array, "n b h w 2"] | None = None


def correlation_for(batch: int, height: int, width: int, levels: int = 4) -> str:
    """``all_pairs`` for features of this size, or ``on_the_fly`` where that is too large."""
    needed = correlation.pyramid_bytes(batch, height, width, levels)
    return "all_pairs" if needed <= VOLUME_LIMIT else "on_the_fly"


class Raft(nn.Module):
    """RAFT. Attributes as in ``build_raft``."""

    size: parts.RaftSize
    iterations: int = 12
    correlation: str = "auto"
    frozen_batch_norm: bool = True
    unroll: int | bool = 1
    dtype: Any = jnp.float32

    def setup(self):
        """Submodules carry the published names."""
        size = self.size
        self.fnet = parts.Encoder(size, size.features, "instance")
        self.cnet = parts.Encoder(size, size.hidden + size.context, size.context_norm)
        self.update_block = parts.update_weights(size)

    def encode(
        self,
        image1: Float[Array, "b h w 3"],
        image2: Float[Array, "b h w 3"],
        *,
        train: bool = False,
    ) -> tuple[Array, Array, Array, Array]:
        """Features of both images (float32), first hidden state and context."""
        images = jnp.concatenate([image1, image2]).astype(jnp.float32)
        images = (2 * (images / 255) - 1).astype(self.dtype)
        features1, features2 = jnp.split(self.fnet(images, train).astype(jnp.float32), 2)
        batch_statistics = train and not self.frozen_batch_norm
        context = self.cnet(images[: len(image1)], batch_statistics)
        hidden, context = parts.split_context(context, self.size.hidden, self.dtype)
        return features1, features2, hidden, context

    def lookup(self, features1: Array, features2: Array):
        """The function ``coords -> samples``, from all pairs or on the fly."""
        radius, levels = self.size.radius, self.size.levels
        kind = self.correlation
        if kind == "auto":
            b, h, w, _ = features2.shape
            kind = correlation_for(b, h, w, levels)
        if kind == "all_pairs":
            pyramid = correlation.correlation_pyramid(features1, features2, levels)
            return functools.partial(correlation.lookup, pyramid, radius=radius)
        pyramid = correlation.feature_pyramid(features2, levels)
        return functools.partial(correlation.lookup_on_the_fly, features1, pyramid, radius=radius)

    def refine(
        self,
        features1: Array,
        features2: Array,
        hidden: Array,
        context: Array,
        initial: Array | None = None,
        *,
        train: bool = False,
    ) -> tuple[RaftOutput, Array]:
        """The iterations; returns the output and the last hidden state."""
        b, h, w, _ = features1.shape
        weights = self.update_block()
        update = parts.make_update(weights, context, self.size.hidden)
        lookup = self.lookup(features1, features2)
        grid = parts.pixel_grid(h, w)
        flow = jnp.zeros((b, h, w, 2), jnp.float32) if initial is None else initial

        def iterate(state, _):
            hidden, flow = state
            # No gradient runs from one iteration's flow to the one before (RAFT, section 3.3).
            flow = jax.lax.stop_gradient(flow)
            hidden, delta = update(hidden, lookup(coords=grid + flow), flow)
            flow = flow + delta
            full = parts.upsample(weights, hidden, flow) if train else None
            return (hidden, flow), (flow, full)

        (hidden, flow), (low_flows, flows) = jax.lax.scan(
            iterate, (hidden, flow), None, length=self.iterations, unroll=self.unroll
        )
        last = flows[-1] if flows is not None else parts.upsample(weights, hidden, flow)
        return RaftOutput(last, low_flows, flows), hidden

    def __call__(
        self,
        image1: Float[Array, "b h w 3"],
        image2: Float[Array, "b h w 3"],
        initial: Float[Array, "b _ _ 2"] | None = None,
        *,
        train: bool = False,
    ) -> RaftOutput:
        """Flow on ``image1`` into ``image2``; see ``build_raft``."""
        _, height, width, _ = image1.shape
        if height % MULTIPLE or width % MULTIPLE or min(height, width) < SMALLEST:
            raise ValueError(
                f"RAFT takes images of at least {SMALLEST} pixels and a multiple of {MULTIPLE} "
                f"in height and width, not {height}x{width}: pad them (motion/padding.py)"
            )
        encoded = self.encode(image1, image2, train=train)
        return self.refine(*encoded, initial, train=train)[0]


def build_raft(
    name: str,
    *,
    iterations: int = 12,
    correlation: str = "auto",
    frozen_batch_norm: bool = True,
    unroll: int | bool = 1,
    dtype: Any = jnp.float32,
    precision: str | None = "highest",
) -> Network:
    """RAFT as two pure functions.

    Args:
      name: ``raft_large`` or ``raft_small``.
      iterations: of the update; published: 12 in training, 20 for video, 24 to 32 for scores.
      correlation: ``all_pairs``, ``on_the_fly`` (the same values, little memory) or ``auto``,
        which chooses by size (``VOLUME_LIMIT``).
      frozen_batch_norm: with ``train=True``, normalise with the running statistics of the large
        network's context encoder (published: in every stage after the first).
      unroll: of the scan over iterations; True makes gradients many times faster on CPUs.
      dtype: of activations; correlations and flow stay float32.
      precision: of float32 products (``jax.default_matmul_precision``). Accelerators round to
        TF32 or bfloat16 by default, and are then no longer equal to the published network.

    Returns:
      ``init(key, image1, image2)`` and ``apply(variables, image1, image2, initial=None)`` with
      images ``[b, h, w, 3]``, RGB, 0 … 255, sizes multiples of 8, and ``initial`` a flow
      ``[b, h/8, w/8, 2]`` in pixels of that grid; gives ``RaftOutput``.

    Raises:
      KeyError: unknown name.
    """
    if correlation not in CORRELATIONS:
        raise ValueError(f"correlation is one of {', '.join(CORRELATIONS)}, not {correlation!r}")
    module = Raft(SIZES[name], iterations, correlation, frozen_batch_norm, unroll, dtype)

    def init(key: Array, *inputs: Array) -> Any:
        return module.init(key, *inputs)

    def apply(variables, *inputs, train: bool = False, rngs=None):
        with jax.default_matmul_precision(precision):
            if not train:
                return module.apply(variables, *inputs, rngs=rngs)
            outputs, changed = module.apply(
                variables, *inputs, train=True, rngs=rngs, mutable=["batch_stats"]
            )
        return outputs, changed.get("batch_stats", variables.get("batch_stats", {}))

    return Network(init, apply)
