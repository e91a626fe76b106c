"""The recipes by which g_ψ is trained: optimiser, schedule and loss by the names in the options.

``muon`` with class-weighted cross entropy is ours, for short runs from scratch. ``sgd`` with
``rmi`` is the protocol of Tao et al. 2020, which the paper follows (4.2): momentum 0.9, the rate
falls once per epoch as ``(1 − epoch / epochs) ** p``, RMI on the result, its pixel part on the
auxiliary head (0.4) and, if wanted, on every single scale (0.05).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from wrp_jax.config import SegmentationOptimiser
from wrp_jax.ops.resize import resize
from wrp_jax.training.segmentation.losses import segmentation_loss
from wrp_jax.training.segmentation.published_losses import (
    binary_cross_entropy,
    image_weighted_cross_entropy,
    region_mutual_information,
    relax_labels,
    relaxed_cross_entropy,
)
from wrp_jax.types import SegmentationOutput

Loss = Callable[[SegmentationOutput, Array], Array]

ENCODER = ("encoder",)
"""Modules that start from ImageNet's weights (``EfficientSegmentation``)."""

_MOMENTUM = 0.9


def epoch_steps(options: SegmentationOptimiser, crops: int) -> int:
    """Steps of an epoch of so many crops: of g_ψ one, of a student three per labelled frame."""
    return max(1, math.ceil(crops / options.batch_size))


def number_of_steps(options: SegmentationOptimiser, crops: int) -> int:
    """Steps of the whole training: from ``epochs``, else ``steps``, else by size in limits.

    Args:
      options: of the segmentation.
      crops: of an epoch; where epochs and steps are 0, ``steps_per_frame`` for each of them.
    """
    if options.epochs:
        return options.epochs * epoch_steps(options, crops)
    if options.steps:
        return options.steps
    low, high = options.steps_range
    return int(np.clip(options.steps_per_frame * crops, low, high))


def make_optimizer(
    options: SegmentationOptimiser, steps: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    """The optimiser that ``options.name`` names, with its schedule; slower for an encoder.

    Args:
      options: of the segmentation.
      steps: of the whole training.
      steps_per_epoch: after so many steps SGD's rate falls.
    """
    optimizer = _OPTIMISERS[options.name](options, steps, steps_per_epoch)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(updates, state, params, **extra)
        return jax.tree_util.tree_map_with_path(
            lambda path, x: x * options.encoder_rate if _is_in(path, ENCODER) else x, updates
        ), state

    return optax.GradientTransformation(optimizer.init, update)


def poly_per_epoch(
    rate: float, steps: int, steps_per_epoch: int, *, power: float
) -> optax.Schedule:
    """``rate · (1 − epoch / epochs) ** power``, the same for all steps of an epoch.

    Reference: Tao et al. 2020, section 4; ``optimizer.py`` of NVIDIA/semantic-segmentation.
    """
    epochs = math.ceil(steps / steps_per_epoch)

    def schedule(step: Any) -> Any:
        return rate * (1.0 - (step // steps_per_epoch) / epochs) ** power

    return schedule


def _sgd(
    options: SegmentationOptimiser, steps: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    schedule = poly_per_epoch(
        options.learning_rate, steps, steps_per_epoch, power=options.poly_power
    )

    def decayed(params: Any) -> Any:
        # As by Muon's AdamW. The first stages, which have no gradient, would shrink.
        return jax.tree_util.tree_map_with_path(lambda path, _: not _is_in(path, ENCODER), params)

    return optax.chain(
        optax.add_decayed_weights(options.weight_decay, decayed), optax.sgd(schedule, _MOMENTUM)
    )


def _muon(
    options: SegmentationOptimiser, steps: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    """Muon on new kernels and AdamW on all else, gradients clipped, one-cycle schedule.

    Muon needs about a third of the steps that AdamW needs to the same quality here; its
    updates have the size of AdamW's, so that one learning rate serves both.

    Reference:
      Jordan 2024, "Muon"; size of the updates: Liu et al. 2025, arXiv:2502.16982.
    """
    del steps_per_epoch  # one cycle
    schedule = optax.cosine_onecycle_schedule(
        steps, options.learning_rate, pct_start=0.15, div_factor=10, final_div_factor=200
    )
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.contrib.muon(
            schedule,
            weight_decay=options.weight_decay,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=0.2,
        ),
    )


_OPTIMISERS = {"muon": _muon, "sgd": _sgd}


def _matrices(params: Any) -> Any:
    """How Muon reads each parameter as a matrix; None for what it leaves to AdamW."""

    def dimensions(path: Any, x: Any) -> Any:
        # Muon turns what is pretrained around in all directions alike, the unimportant ones too.
        if _is_in(path, ("logits", "aux", *ENCODER)) or x.ndim < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), x.ndim - 1)

    return jax.tree_util.tree_map_with_path(dimensions, params)


def _is_in(path: Any, modules: Collection[str]) -> bool:
    return any(getattr(key, "key", None) in modules for key in path)


def make_loss(options: SegmentationOptimiser, class_weights: Float[Array, " c"]) -> Loss:
    """``loss(output, labels)`` that ``options.loss`` names; other labels than classes are left out.

    Args:
      options: of the segmentation.
      class_weights: of ``weighted``, which compares with the shares of the classes under each
        logit; the other losses enlarge the logits to the labels.

    Returns:
      A pytree; its leaves are what it reads of the data, see ``loop.fit``.
    """
    if options.loss == "weighted":

        def weighted(weights: Array, output: SegmentationOutput, labels: Array) -> Array:
            return segmentation_loss(output, labels, weights, options.aux_weight)

        return Partial(weighted, class_weights)
    main, rest = _LOSSES[options.loss]

    def loss(output: SegmentationOutput, labels: Int[Array, "b h w"]) -> Array:
        def at_full_size(logits: Array) -> Array:
            return resize(logits.astype(jnp.float32), (labels.shape[1], labels.shape[2]))

        total = main(at_full_size(output.logits), labels)
        if output.aux_logits is not None:
            total += options.aux_weight * rest(at_full_size(output.aux_logits), labels)
        if options.single_scale_weight:
            for logits in output.scale_logits:
                total += options.single_scale_weight * rest(at_full_size(logits), labels)
        return total

    return Partial(loss)


def _relaxed(logits: Float[Array, "b h w c"], labels: Int[Array, "b h w"]) -> Float[Array, ""]:
    return relaxed_cross_entropy(logits, relax_labels(labels, logits.shape[-1]))


_LOSSES = {
    "rmi": (region_mutual_information, binary_cross_entropy),
    "image_weighted": (image_weighted_cross_entropy, image_weighted_cross_entropy),
    "relaxed": (_relaxed, _relaxed),
}
"""Loss of the result, and of everything beside it."""
