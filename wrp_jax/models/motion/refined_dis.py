"""A small network that mends DIS flow: it tells which vectors to trust and fills in the others.

Dense inverse search is precise where both pictures show the same thing, and off by many pixels
where a surface is hidden in the other picture, leaves it, or has no texture. Both directions of
the flow and the warped picture tell these places. Nearly all of what comes out is a convex
combination of vectors that went in, so the network works for motions of any size: flow is pooled
down to 1/32, weighted by trust, and brought up again level by level, each cell choosing between
what it saw itself and what the coarser level says around it ("pull-push" with learnt weights).

The idea of mending a classical flow by a network: Zweig and Wolf, "InterpoNet", CVPR 2017; of
convex upsampling: RAFT, section 3.3.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import depth_to_space, enlarge, mean_pool, space_to_depth
from wrp_jax.models.motion.layers import Conv, he_normal_fan_out
from wrp_jax.models.network import Network
from wrp_jax.ops.resize import resize
from wrp_jax.ops.warp import consistency_error, inside, warp

MULTIPLE = 32
"""Height and width must be multiples of this (``padding.py``)."""
CELL = 4
"""Side of the finest cells, in pixels; each level above doubles it."""
WIDTHS = (24, 48, 64, 64)
"""Channels at 1/4, 1/8, 1/16 and 1/32."""


def evidence(
    first: Float[Array, "b h w 3"],
    second: Float[Array, "b h w 3"],
    flow: Float[Array, "b h w 2"],
    reverse: Float[Array, "b h w 2"],
) -> Float[Array, "b h w 13"]:
    """What speaks for and against each vector; nothing in it grows with the motion's size.

    Args:
      first: RGB, 0 … 255.
      second: the same.
      flow: on ``first``, into ``second``.
      reverse: on ``second``, into ``first``.

    Returns:
      Both pictures (the second as the flow fetches it), their difference, the forward-backward
      error, whether the flow stays inside, the flow, and how it differs from its surroundings.
    """
    moved, _ = warp(second, flow)
    difference = jnp.abs(first - moved).mean(-1, keepdims=True) / 32
    error = jnp.log1p(consistency_error(flow, reverse))[..., None]
    surroundings = enlarge(mean_pool(flow, MULTIPLE), MULTIPLE)
    return jnp.concatenate(
        [
            first / 128 - 1,
            moved / 128 - 1,
            difference,
            error,
            inside(flow)[..., None].astype(flow.dtype),
            _squash(flow),
            _squash(flow - surroundings),
        ],
        axis=-1,
    )


def _squash(flow: Array) -> Array:
    return jnp.sign(flow) * jnp.log1p(jnp.abs(flow))


def neighbours(x: Float[Array, "b h w c"]) -> Float[Array, "b h w 9 c"]:
    """The 3x3 cells around each cell; the border is repeated."""
    _, h, w, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    parts = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return jnp.stack(parts, axis=3)


def pull(
    flow: Float[Array, "b h w 2"], trust: Float[Array, "b h w 1"], factor: int
) -> tuple[Float[Array, "b oh ow 2"], Float[Array, "b oh ow 1"]]:
    """Mean flow of blocks weighted by trust, and the blocks' mean trust."""
    total = mean_pool(trust, factor)
    return mean_pool(flow * trust, factor) / (total + 1e-6), total


def choose(
    logits: Float[Array, "b h w k"], candidates: Float[Array, "b h w k 2"]
) -> Float[Array, "b h w 2"]:
    """Convex combination of candidate vectors."""
    return jnp.sum(nn.softmax(logits, axis=-1)[..., None] * candidates, axis=-2)


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[b, h, w, c]`` to ``[b, h, w, features]``."""
        if x.shape[-1] != self.features:
            x = Conv(self.features, 1, kernel_init=he_normal_fan_out, name="project")(x)
        y = Conv(self.features, kernel_init=he_normal_fan_out, name="conv1")(nn.leaky_relu(x, 0.1))
        y = Conv(self.features, kernel_init=_small, name="conv2")(nn.leaky_relu(y, 0.1))
        return x + y


_small = nn.initializers.variance_scaling(0.1, "fan_in", "normal")
_start_at_zero = nn.initializers.zeros


class RefinedDis(nn.Module):
    """See ``build_refined_dis``."""

    widths: tuple[int, ...] = WIDTHS

    @nn.compact
    def __call__(
        self,
        first: Float[Array, "b h w 3"],
        second: Float[Array, "b h w 3"],
        flow: Float[Array, "b h w 2"],
        reverse: Float[Array, "b h w 2"],
    ) -> list[Float[Array, "b h w 2"]]:
        """Flow on ``first`` at full resolution, from the coarsest level's to the final one."""
        height, width = first.shape[1:3]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(
                f"refined_dis takes sizes that are multiples of {MULTIPLE}, not {height}x{width}: "
                "pad the frames (motion/padding.py)"
            )
        levels = len(self.widths)
        x = space_to_depth(evidence(first, second, flow, reverse), CELL)
        skips = []
        for k, features in enumerate(self.widths):
            if k:
                x = mean_pool(x, 2)
            x = _Block(features, name=f"down{k}")(x)
            skips.append(x)
        heads = [x]
        for k in reversed(range(levels - 1)):
            x = enlarge(Conv(self.widths[k], 1, name=f"lift{k}")(x), 2) + skips[k]
            x = _Block(self.widths[k], name=f"up{k}")(x)
            heads.append(x)
        heads = [nn.leaky_relu(head, 0.1) for head in reversed(heads)]

        trust_logit = Conv(CELL**2, 1, kernel_init=_small, name="trust")(heads[0])
        trust_logit = depth_to_space(trust_logit, CELL)
        trust = nn.sigmoid(trust_logit)
        pulled = [pull(flow, trust, CELL)]
        for _ in range(levels - 1):
            pulled.append(pull(*pulled[-1], 2))

        results: list[Array] = []
        current = pulled[-1][0]
        for k in reversed(range(levels)):
            own, weight = pulled[k]
            coarsest = k == levels - 1
            logits = Conv(9 if coarsest else 18, 1, kernel_init=_small, name=f"choice{k}")(heads[k])
            doubt = neighbours(jnp.log(weight + 1e-4))[..., 0]
            candidates = neighbours(own)
            if not coarsest:
                coarse = enlarge(neighbours(current).reshape(*current.shape[:3], 18), 2)
                coarse = coarse.reshape(*own.shape[:3], 9, 2)
                candidates = jnp.concatenate([candidates, coarse], axis=-2)
                doubt = jnp.concatenate([doubt, jnp.full_like(doubt, -3.0)], axis=-1)
            current = choose(logits + doubt, candidates)
            if k < 2:
                delta = Conv(2, 1, kernel_init=_start_at_zero, name=f"delta{k}")(heads[k])
                current = current + delta
            results.append(_upsample(current, CELL * 2**k))
        results.append(self._finest(heads[0], current, flow, trust_logit))
        return results

    def _finest(self, features: Array, coarse: Array, flow: Array, trust_logit: Array) -> Array:
        """Each pixel: its own vector, or a combination of the nine cells around it."""
        b, h, w, _ = coarse.shape
        logits = Conv(10 * CELL**2, 1, kernel_init=_small, name="finest")(features)
        logits = depth_to_space(logits, CELL)
        logits = logits.at[..., 9:].add(trust_logit + 2.0)
        near = enlarge(neighbours(coarse).reshape(b, h, w, 18), CELL)
        near = near.reshape(*flow.shape[:3], 9, 2)
        return choose(logits, jnp.concatenate([near, flow[..., None, :]], axis=-2))


def _upsample(flow: Array, factor: int) -> Array:
    h, w = flow.shape[1:3]
    return resize(flow, (h * factor, w * factor))


def build_refined_dis(*, precision: str | None = None) -> Network:
    """The network as two pure functions.

    Args:
      precision: of float32 products (``jax.default_matmul_precision``).

    Returns:
      ``init(key, first, second, flow, reverse)`` and ``apply(variables, ...)`` of the same:
      frames ``[b, h, w, 3]``, RGB, 0 … 255, sizes multiples of 32; ``flow`` ``[b, h, w, 2]`` by
      DIS on ``first`` into ``second``, ``reverse`` the other way. Gives a list of flows
      ``[b, h, w, 2]`` on ``first``, coarse to fine; the last is the result. With ``train=True``
      the second value is an empty dictionary.
    """
    module = RefinedDis()

    def apply(variables, *inputs, train: bool = False, rngs=None):
        with jax.default_matmul_precision(precision):
            flows = module.apply(variables, *inputs, rngs=rngs)
        return (flows, {}) if train else flows

    return Network(lambda key, *inputs: module.init(key, *inputs), apply)
