"""Segmentation networks g_ψ, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn

from wrp_jax.config import SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.light import LightSegmentation
from wrp_jax.types import UserError


def _light(config: SegmentationConfig, num_classes: int) -> nn.Module:
    return LightSegmentation(num_classes, width=config.width, max_pixels=config.max_pixels)


REGISTRY: dict[str, Callable[[SegmentationConfig, int], nn.Module]] = {"light": _light}
"""From `SegmentationConfig.name` to what builds the module."""


def build_segmentation(config: SegmentationConfig, num_classes: int) -> Network:
    """Builds the network that ``config.name`` names.

    Args:
      config: options of the network.
      num_classes: number of scores per pixel, the void class included.

    Returns:
      ``init(key, images)`` and ``apply(variables, images, train=False)``, with images float
      ``[b, h, w, 3]`` in 0 … 1 of any size, and a `SegmentationOutput` as the output.

    Raises:
      UserError: there is no network of that name.
    """
    if config.name not in REGISTRY:
        raise UserError(
            f"config.segmentation.name is {config.name!r}, which is not known; "
            f"choose one of {', '.join(sorted(REGISTRY))}."
        )
    module = REGISTRY[config.name](config, num_classes)

    def init(key: Any, images: Any) -> Any:
        return module.init(key, images, train=False)

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        if not train:
            return module.apply(variables, images, train=False)
        output, updates = module.apply(
            variables, images, train=True, rngs=rngs, mutable=["batch_stats"]
        )
        return output, updates["batch_stats"]

    return Network(init, apply)
