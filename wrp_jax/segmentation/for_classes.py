"""A segmentation network for the classes of a data set: one score per class, void included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.config import SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.build import PUBLISHED, build_segmentation
from wrp_jax.types import ClassMap, SegmentationOutput

IMPOSSIBLE = -30.0
"""A logit whose softmax is nothing (1e-13), and that resizes without NaN."""


def build_for_classes(options: SegmentationConfig, classes: ClassMap) -> Network:
    """The network of ``options`` with one score per class, in the order of the class map.

    Void is given no chance unless ``options.learn_void``. The published networks do not even
    have a score for it then: their classes are those that are not void, in their order.

    Raises:
      UserError: as ``build_segmentation``.
    """
    network = build_segmentation(options, scores_of(options, classes))
    never = np.asarray(classes.void)
    if options.network.learn_void or not never.any():
        return network
    if options.name not in PUBLISHED:
        return with_logits(network, lambda x: jnp.where(never, IMPOSSIBLE, x))
    places = np.where(never, 0, np.cumsum(~never) - 1)
    return with_logits(network, lambda x: jnp.where(never, IMPOSSIBLE, x[..., places]))


def scores_of(options: SegmentationConfig, classes: ClassMap) -> int:
    """Scores per pixel of the network itself, before it is laid out by class."""
    without_void = options.name in PUBLISHED and not options.network.learn_void
    return classes.num_classes - sum(classes.void) * without_void


def with_logits(network: Network, change: Callable[[jax.Array], jax.Array]) -> Network:
    """The same network with all its logits changed by a function."""

    def changed(output: SegmentationOutput) -> SegmentationOutput:
        aux = output.aux_logits
        return output._replace(
            logits=change(output.logits),
            aux_logits=None if aux is None else change(aux),
            scale_logits=tuple(change(logits) for logits in output.scale_logits),
        )

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        result = network.apply(variables, images, train=train, rngs=rngs)
        return (changed(result[0]), *result[1:]) if train else changed(result)

    return Network(network.init, apply)
