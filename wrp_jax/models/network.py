"""The contract of every network: two pure functions (see optax ``base.py`` for the style)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


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
