"""g_ψ with published weights, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wrp_jax.config import SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.segmentation.for_classes import build_for_classes, scores_of
from wrp_jax.types import ClassMap, UserError
from wrp_jax.weights.segmentation import load_segmentation_weights


def published_segmentation(
    options: SegmentationConfig, classes: ClassMap
) -> tuple[Network, dict[str, Any]]:
    """The network and its variables without any training.

    Raises:
      UserError: the file does not hold the whole network for these classes, or is of a run.
    """
    if is_of_a_run(options):
        raise UserError(
            f"{options.weights} is what a run of train.py made: give its folder as --workdir, or "
            "train on from it."
        )
    network = build_for_classes(options, classes)
    return network, load_segmentation_weights(options, scores_of(options, classes), whole=True)


def is_of_a_run(options: SegmentationConfig) -> bool:
    """Whether the weights are the result of a run of ours."""
    return Path(options.weights).suffix == ".npz"
