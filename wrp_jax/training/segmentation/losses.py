"""Losses of the segmentation stage: pure functions of arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from wrp_jax.types import SegmentationOutput


def label_distribution(
    labels: Int[Array, "b h w"], num_classes: int, shape: tuple[int, int]
) -> Float[Array, "b lh lw {num_classes}"]:
    """Shares of the classes in each block of pixels that one logit stands for.

    Args:
      labels: class indices; pixels outside ``0 … num_classes-1`` are left out.
      num_classes: number of classes.
      shape: rows and columns of the result; ``h`` and ``w`` must be multiples of them.

    Returns:
      The shares; they sum to the share of labelled pixels in the block, 0 … 1.
    """
    b, h, w = labels.shape
    rows, columns = shape
    if h % rows or w % columns:
        raise ValueError(f"labels {labels.shape} do not divide into {shape} blocks")
    blocks = labels.reshape(b, rows, h // rows, columns, w // columns)
    blocks = blocks.transpose(0, 1, 3, 2, 4).reshape(b, rows, columns, -1)
    classes = jnp.arange(num_classes, dtype=labels.dtype)
    return (blocks[..., None] == classes).mean(-2, dtype=jnp.float32)


def cross_entropy(
    logits: Float[Array, "*n c"],
    target: Float[Array, "*n c"],
    class_weights: Float[Array, "c"] | None = None,
    smoothing: float = 0.0,
) -> Float[Array, ""]:
    """Weighted mean of ``-Σ_c w_c t_c log softmax(z)_c``; rows of ``t`` may sum to less than 1.

    The weights' mean is taken over what is labelled: ``Σ w_c t_c`` divides, as in PyTorch's
    ``cross_entropy`` with class weights and ignored pixels (rows of zeros here).

    Args:
      logits: scores z.
      target: shares t of the classes, see `label_distribution`.
      class_weights: w; None for ones.
      smoothing: this share of every row's mass is spread evenly over the classes.
    """
    if smoothing:
        mass = target.sum(-1, keepdims=True)
        target = (1.0 - smoothing) * target + smoothing * mass / target.shape[-1]
    if class_weights is not None:
        target = target * class_weights
    total = -(target * jax.nn.log_softmax(logits)).sum()
    return total / jnp.maximum(target.sum(), 1e-6)


def segmentation_loss(
    output: SegmentationOutput,
    labels: Int[Array, "b h w"],
    class_weights: Float[Array, "c"] | None = None,
    aux_weight: float = 0.4,
) -> Float[Array, ""]:
    """Cross entropy of the logits and, weighted, of the auxiliary head (OCR paper: 0.4)."""
    classes = output.logits.shape[-1]
    target = label_distribution(labels, classes, _size(output.logits))
    loss = cross_entropy(output.logits, target, class_weights)
    if output.aux_logits is not None:
        target = label_distribution(labels, classes, _size(output.aux_logits))
        loss += aux_weight * cross_entropy(output.aux_logits, target, class_weights)
    return loss


def class_weights(
    counts: Float[Array, "c"], power: float = 0.5, limit: float = 10.0
) -> Float[Array, "c"]:
    """Weights ``frequency ** -power`` with a mean of one over labelled pixels.

    Args:
      counts: labelled pixels per class; a class without any gets weight 1 (it never counts).
      power: 0 for no weighting, 1 for classes that weigh the same in total.
      limit: largest ratio between a weight and the smallest one.
    """
    present = counts > 0
    weights = jnp.where(present, jnp.maximum(counts, 1.0) ** -power, jnp.inf)
    smallest = weights.min()
    weights = jnp.where(present, jnp.minimum(weights, limit * smallest), smallest)
    mean = (weights * counts).sum() / jnp.maximum(counts.sum(), 1.0)
    return jnp.where(present, weights / mean, 1.0)


def _size(logits: Array) -> tuple[int, int]:
    return logits.shape[1], logits.shape[2]
