"""How far g_ψ is to be believed, class by class, measured without any further label.

A few frames from a labelled one, motion still carries the label faithfully, and g_ψ either agrees
or does not. Per class, because g_ψ misses what is rare and small while it gets large areas right;
and recall apart from precision: where g_ψ says something rare it may well be right, though it
mostly fails to say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.ops.warp import compose_flow, warp_labels
from wrp_jax.propagation.window_cues import WindowCues

AHEAD = 4
"""Frames over which labels are carried to measure by."""

_FEW = 0.002  # of a frame's pixels: too few to measure by

_compose, _warp_labels = jax.jit(compose_flow), jax.jit(warp_labels)


class Agreement(NamedTuple):
    """Pixels per class; two of them are added up field by field.

    Attributes:
      both: that g_ψ and the carried label call so.
      carried: that the carried label calls so.
      said: that g_ψ calls so, among those with a carried label.
    """

    both: Int[np.ndarray, "*n c"]
    carried: Int[np.ndarray, "*n c"]
    said: Int[np.ndarray, "*n c"]


def count_agreement(
    said: Int[np.ndarray, "h w"], carried: Int[np.ndarray, "h w"], num_classes: int
) -> Agreement:
    """Counts over one frame.

    Args:
      said: class indices of g_ψ.
      carried: class indices; -1 where unknown, which is left out.
      num_classes: of the data set.
    """
    known = carried >= 0

    def count(labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels, minlength=num_classes)

    return Agreement(
        count(carried[known & (said == carried)]), count(carried[known]), count(said[known])
    )


def window_agreement(
    cues: WindowCues,
    keys: Sequence[tuple[int, Int[np.ndarray, "h w"]]],
    num_classes: int,
    ahead: int = AHEAD,
) -> Agreement:
    """Agreement of g_ψ with labels carried ``ahead`` frames, in both directions of time.

    Args:
      cues: of the window; where it ends earlier, so does the way.
      keys: places and class indices (-1 where unknown) of the labelled frames, in order. The
        first is carried forward in time and the last, which may be the same, backward.
      num_classes: of the data set.
      ahead: frames over which the label is carried.

    Returns:
      Zeros for a window of one frame.
    """
    total = Agreement(*np.zeros((3, num_classes), np.int64))
    for direction, (key_index, key_label) in ((1, keys[0]), (-1, keys[-1])):
        reach = min(ahead, cues.count - 1 - key_index if direction > 0 else key_index)
        flow = None
        for step in range(reach):
            before = key_index + direction * step
            pair = cues.section(
                min(before, before + direction), max(before, before + direction) + 1
            )
            short = pair.flow_backward if direction > 0 else pair.flow_forward
            flow = short if flow is None else np.asarray(_compose(short, flow)[0])
        if flow is None:
            continue
        last = key_index + direction * reach
        moved, valid = (np.asarray(a)[0] for a in _warp_labels(key_label[None], flow))
        moved = np.where(valid, moved, -1)
        said = np.asarray(cues.section(last, last + 1).probs[0]).argmax(-1)
        found = count_agreement(said, moved, num_classes)
        total = Agreement(*(a + b for a, b in zip(total, found, strict=True)))
    return total


def reliability_of(
    cues: WindowCues,
    keys: Sequence[tuple[int, Int[np.ndarray, "h w"]]],
    prior: Float[np.ndarray, "c 2"],
    ahead: int = AHEAD,
) -> Float[np.ndarray, "c 2"]:
    """Recall and precision of g_ψ in a window: ``window_agreement``, drawn towards a prior."""
    found = window_agreement(cues, keys, len(prior), ahead)
    return recall_and_precision(found, keys[0][1].size, prior)


def recall_and_precision(
    agreement: Agreement, pixels: int, prior: Float[np.ndarray, "c 2"] | None = None
) -> Float[np.ndarray, "*n c 2"]:
    """Recall and precision of g_ψ per class, drawn towards a prior where they rest on little.

    Three pixels of a class that g_ψ misses are no measurement.

    Args:
      agreement: of one window, or of several.
      pixels: of a frame; a five-hundredth of them weighs as much as the prior.
      prior: what to expect of a class; that of all classes together unless given.

    Returns:
      0 … 1.
    """
    few = max(_FEW * pixels, 1.0)
    both = agreement.both[..., None]
    there = np.stack([agreement.carried, agreement.said], axis=-1)
    if prior is None:
        everything = both.sum() / max(float(agreement.carried.sum()), 1.0) if both.size else 1.0
        prior = np.full((*both.shape[-2:-1], 2), everything, np.float32)
    return ((both + few * prior) / (there + few)).astype(np.float32)
