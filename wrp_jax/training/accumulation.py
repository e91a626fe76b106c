"""Gradients of a batch that does not fit into memory at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wrp_jax.training.unroll import unroll_for_gradients
from wrp_jax.types import UserError

Loss = Callable[[Any, Any, Any, jax.Array], tuple[jax.Array, Any]]
"""``loss(params, batch_stats, batch, key) -> (value, batch_stats)``."""


def check_parts(batch_size: int, parts: int) -> None:
    """Raises ``UserError`` where a batch does not divide into so many parts."""
    if batch_size % parts:
        raise UserError(
            f"batch_size {batch_size} does not divide into "
            f"--config.segmentation.optimiser.accumulate={parts} parts: give a multiple."
        )


def gradient_in_parts(loss: Loss, parts: int) -> Callable[..., tuple[tuple[jax.Array, Any], Any]]:
    """``jax.value_and_grad(loss, has_aux=True)`` over ``parts`` parts of the batch in turn.

    The gradient is the mean over the parts, which is that of the whole batch where the loss is a
    mean over images and no layer looks across the batch. Batch norm does: its statistics are
    those of each part, and the running ones are updated once per part.

    Args:
      loss: of a batch; arrays in the batch have the images along their leading axis.
      parts: how many; 1 is ``jax.value_and_grad`` itself.

    Returns:
      ``gradient(params, batch_stats, batch, key) -> ((value, batch_stats), gradients)``.

    Raises:
      UserError: (when called) the batch does not divide into so many parts.
    """
    gradient = jax.value_and_grad(loss, has_aux=True)
    if parts == 1:
        return gradient

    def split(x: jax.Array) -> jax.Array:
        check_parts(len(x), parts)
        # Every parts-th image: a batch that is split over devices stays so in every part.
        return jnp.swapaxes(x.reshape(len(x) // parts, parts, *x.shape[1:]), 0, 1)

    def in_parts(params: Any, batch_stats: Any, batch: Any, key: jax.Array) -> Any:
        def add(carry: Any, part: Any) -> tuple[Any, None]:
            total, stats = carry
            images, part_key = part
            (value, stats), new = gradient(params, stats, images, part_key)
            return (jax.tree.map(jnp.add, total, (value, new)), stats), None

        zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
        rest = (jax.tree.map(split, batch), jax.random.split(key, parts))
        (total, stats), _ = jax.lax.scan(
            add, (zero, batch_stats), rest, unroll=unroll_for_gradients()
        )
        value, gradients = jax.tree.map(lambda x: x / parts, total)
        return (value, stats), gradients

    return in_parts
