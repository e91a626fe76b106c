"""g_ψ from published weights (``config.segmentation.weights``): as it is, or as a start."""

from __future__ import annotations

from typing import Any

import jax

from wrp_jax.config import SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.for_classes import build_for_classes, scores_of
from wrp_jax.types import ClassMap
from wrp_jax.weights.segmentation import laid_over, load_segmentation_weights


def published_segmentation(
    options: SegmentationConfig, classes: ClassMap
) -> tuple[Network, dict[str, Any]]:
    """The network and its variables without any training.

    Raises:
      UserError: the file does not hold the whole network for these classes.
    """
    network = build_for_classes(options, classes)
    return network, load_segmentation_weights(options, scores_of(options, classes), whole=True)


def initial_variables(
    network: Network, options: SegmentationConfig, classes: ClassMap, images: Any, seed: int
) -> dict[str, Any]:
    """Random variables, with those replaced that ``options.weights`` holds, if it is given.

    Args:
      network: of ``build_for_classes``.
      options: of the network.
      classes: of the data.
      images: as the network will get them.
      seed: of the random variables.

    Raises:
      UserError: the file is no start for this network and these classes.
    """
    loaded: dict[str, Any] = {}
    if options.weights:
        loaded = load_segmentation_weights(options, scores_of(options, classes), whole=False)
    variables = jax.jit(network.init)(jax.random.key(seed), images)
    return laid_over(variables, loaded)
