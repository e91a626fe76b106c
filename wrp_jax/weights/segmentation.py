"""Weights from a file for a segmentation network, whole or as a start of its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrp_jax.config import SegmentationConfig
from wrp_jax.types import UserError
from wrp_jax.weights import efficientnet, hrnet
from wrp_jax.weights.load import WeightFile, read_weights, variables_of

EFFICIENT = "efficient"
"""The network that starts from an encoder's weights, and from those of a package by itself."""

_STARTS = {
    "hrnet_ocr_mscale": ("hrnet_ocr_mscale", "hrnet_ocr", "hrnetv2_imagenet"),
    "hrnet_ocr": ("hrnet_ocr", "hrnetv2_imagenet"),
    EFFICIENT: ("efficientnet_lite0",),
}
"""Networks that have published weights, each with the files that it can start from."""


def load_segmentation_weights(
    options: SegmentationConfig, num_classes: int, *, whole: bool
) -> dict[str, Any]:
    """Reads the file that `start_file` names.

    Args:
      options: of the network; ``drop_classifier`` leaves out the layers whose shapes depend on
        the number of classes.
      num_classes: scores per pixel of the network.
      whole: whether nothing may be missing; else the file may be a smaller network's, which the
        network contains.

    Returns:
      Nested dictionary of float32 arrays, ``params`` and ``batch_stats``.

    Raises:
      UserError: no such network has weights in files, or the file is damaged, holds another
        network, another width or number of classes, or too little.
    """
    file, held = _file_and_network(options, whole=whole)
    path, variables = file.path, variables_of(file, held)
    if held == "efficientnet_lite0":
        return variables
    width = variables["params"]["backbone"]["transition1_0"]["norm"]["bias"].shape[0]
    wanted = options.network.width or 48
    if width != wanted:
        raise UserError(
            f"{path} holds a network of width {width}: give "
            f"--config.segmentation.network.width={width}."
        )
    if held == "hrnetv2_imagenet":
        return variables
    classes = variables["params"]["ocr"]["cls_head"]["bias"].shape[0]
    if options.drop_classifier and not whole:
        for layer in hrnet.CLASSIFIER:
            del variables["params"]["ocr"][layer]
    elif classes != num_classes:
        raise UserError(
            f"{path} tells {classes} classes apart and classes.json has {num_classes} that are "
            "not void, in whose order they would be taken: give data of the same classes, or "
            "train new last layers with --config.segmentation.drop_classifier=true."
        )
    return variables


def check_start_file(options: SegmentationConfig) -> None:
    """Reads what training starts from, where there is a file; its shapes are not looked at yet.

    Raises:
      UserError: the file is missing, damaged, or holds another network.
    """
    if start_file(options):
        _file_and_network(options, whole=False)


def start_file(options: SegmentationConfig) -> Path | None:
    """What training starts from: the file in the options, that of a package, or none.

    Raises:
      UserError: the network starts from a package's file, and the package is not installed, or
        its file is damaged.
    """
    if options.weights:
        return Path(options.weights)
    return efficientnet.packaged_weights() if options.name == EFFICIENT else None


def laid_over(variables: Mapping[str, Any], loaded: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with those replaced that ``loaded`` has."""
    result = dict(variables)
    for name, value in loaded.items():
        nested = isinstance(value, Mapping)
        result[name] = laid_over(result[name], value) if nested else value
    return result


def _file_and_network(options: SegmentationConfig, *, whole: bool) -> tuple[WeightFile, str]:
    """The content of `start_file`, and the name of the network in it, which the options accept."""
    if options.name not in _STARTS:
        raise UserError(
            f"config.segmentation.weights is given and config.segmentation.name is "
            f"{options.name!r}: files hold weights of {', '.join(sorted(_STARTS))}."
        )
    path = start_file(options)
    assert path is not None
    file = read_weights(path)
    held = _network_held(file)
    accepted = _STARTS[options.name][: 1 if whole else None]
    if whole and held == accepted[0] == "efficientnet_lite0":
        raise UserError(
            f"{path} holds the encoder alone, which labels nothing: train with train.py, and give "
            "its folder as --workdir."
        )
    if held is None or held not in accepted:
        raise UserError(
            f"{path} holds {held or 'no network of this kind'}, and config.segmentation.name="
            f"{options.name} takes {' or '.join(accepted)}{' without training' * whole}."
        )
    return file, held


def _network_held(file: WeightFile) -> str | None:
    if file.is_ours:
        return file.metadata.get("network")
    if efficientnet.is_encoder(file.arrays):
        return "efficientnet_lite0"
    return hrnet.network_held(file.arrays)
