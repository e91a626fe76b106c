"""The loss ℓ of the paper's Ω (3.4)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

IGNORE = 255
"""Label where the truth is unknown."""


def stored_labels(label: Int[np.ndarray, "*s"], num_classes: int) -> UInt8[np.ndarray, "*s"]:
    """Class indices as examples hold them: ``IGNORE`` for what is none of the classes."""
    known = (label >= 0) & (label < num_classes)
    return np.where(known, label, IGNORE).astype(np.uint8)


def label_loss(
    logits: Float[Array, "b h w c"], truth: Int[Array, "b h w"], class_weights: Float[Array, " c"]
) -> Float[Array, ""]:
    """Class-weighted cross entropy; truth outside the classes is left out."""
    known = (truth >= 0) & (truth < logits.shape[-1])
    index = jnp.where(known, truth, 0)
    weight = class_weights[index] * known
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, index)
    return jnp.sum(loss * weight) / jnp.maximum(jnp.sum(weight), 1e-6)
