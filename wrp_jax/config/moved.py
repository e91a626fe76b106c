"""Where options have gone that stood elsewhere in the tree: old key, new key.

One table for messages ("is now") and for the config of runs that were trained before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INTO: dict[str, tuple[str, ...]] = {
    "segmentation.network": (*("width", "scales", "dtype", "remat", "learn_void", "max_pixels"),),
    "segmentation.inference": (
        *("flip", "average_scales", "window", "overlap", "frames_per_device"),
    ),
    "segmentation.sampling": (
        *("crop", "scale", "augmentation", "blur", "key_share", "class_share", "centroid_tile"),
        *("coarse", "coarse_classes", "coarse_epochs", "calibration_share"),
    ),
    "segmentation.optimiser": (
        *("loss", "aux_weight", "single_scale_weight", "epochs", "steps", "steps_per_frame"),
        *("steps_range", "batch_size", "accumulate", "learning_rate", "poly_power"),
        *("weight_decay", "ema_decay"),
    ),
    "motion_training.sampling": (
        *("crop", "sparse", "scale", "flips", "jitter", "hue", "erase", "flying", "keep", "mix"),
    ),
    "motion_training.optimiser": (
        *("loss", "gamma", "smoothness", "smoothness_order", "steps", "batch_size"),
        *("learning_rate", "schedule", "weight_decay", "clip", "ema_decay"),
    ),
}

MOVED: dict[str, str] = {
    f"{group.rpartition('.')[0]}.{name}": f"{group}.{name}"
    for group, names in _INTO.items()
    for name in names
} | {"segmentation.optimizer": "segmentation.optimiser.name"}
"""From old keys to new ones, without ``config.`` in front."""


def translated(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of options with every option in its present place.

    Args:
      tree: as nested dicts, of this version or an earlier one; it is left as it is.

    Returns:
      A tree of its own. What is in its place already, or in no place that this version knows,
      stays where it is.
    """
    new = {key: translated(value) if isinstance(value, Mapping) else value
           for key, value in tree.items()}  # fmt: skip
    for old_key, new_key in MOVED.items():
        *parents, name = old_key.split(".")
        holder = _inside(new, parents)
        if holder is None or name not in holder:
            continue
        *parents, last = new_key.split(".")
        place = new
        for parent in parents:
            place = place.setdefault(parent, {})
        place.setdefault(last, holder.pop(name))
    return new


def _inside(tree: dict[str, Any], keys: list[str]) -> dict[str, Any] | None:
    for key in keys:
        tree = tree.get(key)  # type: ignore[assignment]
        if not isinstance(tree, dict):
            return None
    return tree
