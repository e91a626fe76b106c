"""The contract of every network: two pure functions (see optax ``base.py`` for the style)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp


class Network(NamedTuple):
    """A network as two pure functions.

    Attributes:
      init: ``init(key, *inputs) -> variables``, a dict with ``params`` and, where the network
        has running statistics, ``batch_stats``.
      apply: ``apply(variables, *inputs, train=False, rngs=None)``. With ``train=False`` it
        returns the outputs; with ``train=True`` it returns ``(outputs, batch_stats)``.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]


class Arithmetic(NamedTuple):
    """How a network calculates.

    Attributes:
      dtype: of activations.
      precision: of products, for ``jax.default_matmul_precision``; CPUs have one alone.
    """

    dtype: Any
    precision: str


ARITHMETIC = {
    # What accelerators do by default is no longer equal to the published networks.
    "float32": Arithmetic(jnp.float32, "highest"),
    "tf32": Arithmetic(jnp.float32, "default"),
    "bfloat16": Arithmetic(jnp.bfloat16, "default"),
}
"""By the name in ``config.motion.dtype`` and ``config.segmentation.network.dtype``."""
