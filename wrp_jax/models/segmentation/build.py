"""Segmentation networks g_ψ, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax

from wrp_jax.config import SegmentationConfig, SegmentationNetwork
from wrp_jax.models.network import ARITHMETIC, Network
from wrp_jax.models.segmentation.efficient import EfficientSegmentation
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr
from wrp_jax.models.segmentation.light import LightSegmentation
from wrp_jax.types import UserError


def _light(config: SegmentationConfig, num_classes: int) -> nn.Module:
    return LightSegmentation(
        num_classes, width=config.network.width or 24, max_pixels=config.network.max_pixels
    )


def _efficient(config: SegmentationConfig, num_classes: int) -> nn.Module:
    return EfficientSegmentation(
        num_classes, width=config.network.width or 24, max_pixels=config.network.max_pixels
    )


def _hrnet_ocr(config: SegmentationConfig, num_classes: int) -> nn.Module:
    return _hrnet(config, num_classes, attention=False, scales=())


def _hrnet_ocr_mscale(config: SegmentationConfig, num_classes: int) -> nn.Module:
    return _hrnet(config, num_classes, attention=True, scales=config.network.scales or (0.5, 1.0))


def _hrnet(
    config: SegmentationConfig, num_classes: int, *, attention: bool, scales: Sequence[float]
) -> nn.Module:
    if scales and (1.0 not in scales or min(scales) <= 0):
        raise UserError(
            f"config.segmentation.network.scales is {tuple(scales)}: give positive scales, 1.0 "
            "among them."
        )
    return HrnetOcr(
        num_classes,
        config.network.width or 48,
        attention,
        tuple(scales) or (1.0,),
        config.network.remat,
        ARITHMETIC[config.network.dtype].dtype,
    )


REGISTRY: dict[str, Callable[[SegmentationConfig, int], nn.Module]] = {
    "light": _light,
    "efficient": _efficient,
    "hrnet_ocr": _hrnet_ocr,
    "hrnet_ocr_mscale": _hrnet_ocr_mscale,
}
"""From `SegmentationConfig.name` to what builds the module."""

PUBLISHED = frozenset({"hrnet_ocr", "hrnet_ocr_mscale"})
"""Networks that are published as a whole, classifiers included."""


def build_segmentation(config: SegmentationConfig, num_classes: int) -> Network:
    """Builds the network that ``config.name`` names.

    Args:
      config: options of the network.
      num_classes: number of scores per pixel.

    Returns:
      ``init(key, images)`` and ``apply(variables, images, train=False, rngs=None)``, with images
      float ``[b, h, w, 3]`` in 0 … 1 of any size, and a `SegmentationOutput` as the output. In
      training an rng named ``dropout`` turns dropout on, where the network has any.

    Raises:
      UserError: there is no network of that name, or an option has no meaning.
    """
    if config.name not in REGISTRY:
        raise UserError(
            f"config.segmentation.name is {config.name!r}, which is not known; "
            f"choose one of {', '.join(sorted(REGISTRY))}."
        )
    if config.network.scales and config.name != "hrnet_ocr_mscale":
        raise UserError(
            f"config.segmentation.network.scales is {tuple(config.network.scales)}, which only "
            "hrnet_ocr_mscale reads: choose --config.segmentation.name=hrnet_ocr_mscale, or give "
            "--config.segmentation.inference.average_scales."
        )
    for name in ("dtype", "remat"):
        value = getattr(config.network, name)
        if config.name not in PUBLISHED and value != getattr(SegmentationNetwork(), name):
            raise UserError(
                f"config.segmentation.network.{name} is {value}, which only hrnet_ocr and "
                "hrnet_ocr_mscale read: leave it out, or give "
                "--config.segmentation.name=hrnet_ocr."
            )
    module = REGISTRY[config.name](config, num_classes)
    precision = ARITHMETIC[config.network.dtype].precision if config.name in PUBLISHED else None

    def init(key: Any, images: Any) -> Any:
        return module.init(key, images, train=False)

    def apply(variables: Any, images: Any, train: bool = False, rngs: Any = None) -> Any:
        with jax.default_matmul_precision(precision):
            if not train:
                return module.apply(variables, images, train=False)
            output, updates = module.apply(
                variables, images, train=True, rngs=rngs, mutable=["batch_stats"]
            )
        return output, updates["batch_stats"]

    return Network(init, apply)
