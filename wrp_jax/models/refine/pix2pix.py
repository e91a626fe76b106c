"""The paper's Ω (4.2): an encoder takes one-hot labels, its code is concatenated with g_ψ's OCR
features, a decoder gives logits.

A small relative of pix2pixHD's global generator: strided convolutions down, residual blocks, and
enlargement up. Two departures, both for training in minutes instead of days: encoder features
are handed across to the decoder at each scale, and the labels themselves are added to the
logits with a learned weight, so that an untrained network leaves labels as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.layers import BasicBlock, ConvNorm
from wrp_jax.models.network import Network
from wrp_jax.ops.resize import resize

SCALES = 3
"""Halvings from the labels to their code."""

STRIDE = 2**SCALES
"""Pixels per place of the code."""


def on_code_grid(
    features: Float[Array, "b fh fw f"], size: Sequence[int]
) -> Float[Array, "b _ _ f"]:
    """Brings features of whole pictures to the places of the code, bilinearly.

    Args:
      features: of any stride (HRNet: 4, the light network: 8 and more).
      size: rows and columns of the pictures in pixels.
    """
    rows, columns = (-(-n // STRIDE) for n in size)
    return resize(features, (rows, columns))


class Pix2Pix(nn.Module):
    """Ω.

    Attributes:
      width: channels at full resolution; doubled at each of the scales below.
      scales: number of halvings.
      blocks: residual blocks on the code.
    """

    width: int = 16
    scales: int = SCALES
    blocks: int = 2

    @nn.compact
    def __call__(
        self,
        labels: Float[Array, "b h w c"],
        features: Float[Array, "b fh fw f"],
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Logits; see ``build_pix2pix``."""
        skips = []
        x = ConvNorm(self.width, name="encode_0")(labels, train=train)
        for i in range(1, self.scales + 1):
            skips.append(x)
            x = ConvNorm(self.width * 2**i, strides=2, name=f"encode_{i}")(x, train=train)
        size = (x.shape[1], x.shape[2])
        x = jnp.concatenate([x, resize(features, size)], axis=-1)
        x = ConvNorm(self.width * 2**self.scales, name="join")(x, train=train)
        for i in range(self.blocks):
            x = BasicBlock(self.width * 2**self.scales, name=f"block_{i}")(x, train=train)
        for i in reversed(range(self.scales)):
            skip = skips[i]
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            x = x[:, : skip.shape[1], : skip.shape[2]]
            x = jnp.concatenate([x, skip], axis=-1)
            x = ConvNorm(self.width * 2**i, name=f"decode_{i}")(x, train=train)
        logits = nn.Dense(labels.shape[-1], name="logits")(x)
        keep = self.param("keep", nn.initializers.constant(4.0), ())
        return logits + keep * labels


def build_pix2pix(*, width: int = 16, scales: int = SCALES, blocks: int = 2) -> Network:
    """The paper's Ω as a ``Network``.

    ``init(key, labels, features)``; ``apply(variables, labels, features, train=False)`` with
    labels one-hot or distributions ``[b, h, w, c]`` and OCR features ``[b, fh, fw, f]`` of any
    stride, which are resized to the grid of the code, gives logits ``[b, h, w, c]``, and with
    ``train=True`` also the new statistics.
    """
    module = Pix2Pix(width=width, scales=scales, blocks=blocks)

    def init(key: Array, labels: Array, features: Array) -> Any:
        return module.init(key, labels, features, train=False)

    def apply(variables, labels, features, *, train: bool = False, rngs=None):
        if not train:
            return module.apply(variables, labels, features, train=False)
        logits, updates = module.apply(
            variables, labels, features, train=True, mutable=["batch_stats"], rngs=rngs
        )
        return logits, updates["batch_stats"]

    return Network(jax.jit(init), apply)


def refine_labels(network: Network, variables: Any, probs: Array, features: Array, cues: Any):
    """Ω in the form that ``propagation/step.py`` takes (eq. 8): distributions in and out.

    Bind the first two: ``jax.tree_util.Partial(functools.partial(refine_labels, network),
    variables)``.

    Args:
      network: Ω.
      variables: its parameters and statistics.
      probs: ``[b, h, w, c]``, the labels of Ψ^W.
      features: OCR features of g_ψ on the same frames.
      cues: unused; the paper's Ω sees labels and features alone.
    """
    del cues
    return jax.nn.softmax(network.apply(variables, probs, features), axis=-1)
