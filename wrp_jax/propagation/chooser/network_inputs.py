"""What the chooser's network sees of hypotheses, and its variables before the first step."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wrp_jax.models.network import Network
from wrp_jax.propagation.chooser.hypotheses import (
    HYPOTHESES,
    Hypotheses,
    class_features,
    frame_features,
)


def chooser_inputs(
    hypotheses: Hypotheses, reliability: Float[Array, "b c 2"]
) -> tuple[Array, Array, Array]:
    """Votes, features of a pixel, and features of a pixel and class.

    Args:
      hypotheses: of b chains.
      reliability: recall and precision of g_ψ in the active classes, 0 … 1; see
        ``agreement.recall_and_precision``.

    Returns:
      ``[b, h, w, n, c]``, ``[b, h, w, f]`` and ``[b, h, w, m, c]``: the arguments of the
      network's ``apply`` behind its variables.
    """
    return (
        hypotheses.votes,
        frame_features(hypotheses),
        class_features(hypotheses, reliability),
    )


def init_chooser(network: Network, key: Array) -> Any:
    """Variables before the first step; they depend on what the chooser sees by its sizes alone."""
    return network.init(key, *blank_inputs(8, 2))


def blank_inputs(size: int, classes: int) -> tuple[Array, Array, Array]:
    """As ``chooser_inputs`` of one square picture without content.

    Args:
      size: its side in pixels.
      classes: how many have votes.
    """
    n = len(HYPOTHESES)
    of_pixel = {"votes": (n, classes), "error": (n,), "valid": (n,), "spread": (3,), "image": (3,)}
    zeros = {
        name: jnp.zeros((1, size, size, *of_pixel.get(name, ())), jnp.float32)
        for name in Hypotheses._fields
        if name != "distance"
    }
    blank = Hypotheses(distance=jnp.zeros((1, 1, 1), jnp.float32), **zeros)
    return chooser_inputs(blank, jnp.zeros((1, classes, 2)))


def is_of_chooser(network: Network, variables: Any) -> bool:
    """Whether variables belong to this chooser, by their names and shapes."""

    def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
        leaves = jax.tree.leaves_with_path(tree)
        return {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}

    expected = jax.eval_shape(partial(init_chooser, network), jax.random.key(0))
    return shapes(expected) == shapes(variables)
