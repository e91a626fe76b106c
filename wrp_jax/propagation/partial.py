"""Partial labels: pixels that a person has fixed in a frame, and what follows for frames near it.

A partial label has the last word on its own pixels of its own frame. From there they travel along
both chains of motion, forward and backward in time, for as long as they can be followed, and stand
beside what the whole labels say of the same pixels: the nearer in time has the greater weight, as
between two labelled frames (``fusion``), and where a partial label is the nearer, what contradicts
it has little. All other pixels are as without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from wrp_jax.config import PropagationConfig
from wrp_jax.propagation.along_chains import along_chains
from wrp_jax.propagation.fusion import side_weight
from wrp_jax.propagation.labelled_window import Keyframe, LabelledWindow
from wrp_jax.propagation.results import NO_PARTIAL, FramePrediction
from wrp_jax.types import KEPT, ClassMap

_CONTRADICTED = 0.125
"""Share of its weight that is left to a label that contradicts a partial one which is nearer: who
corrects a pixel says that it is wrong. Of shares from 1 down to 1/16, this one left the fewest
errors around simulated corrections of CamVid and of Chen's videos (motion-only)."""


class Patch(NamedTuple):
    """Pixels of a frame that a partial label of another frame speaks of.

    Attributes:
      place: of the pixels, in the flattened frame.
      labels: class indices.
      weight: how much the partial label counts, see ``fusion.side_weight``.
      share: probability of the class under what has been moved there, 0 … 1.
      distance: from the partial label to the frame, in frames; negative backward in time.
    """

    place: Int[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    share: Float[np.ndarray, " n"]
    distance: int


def with_partial(
    config: PropagationConfig,
    window: LabelledWindow,
    said: Iterator[FramePrediction],
    *,
    moves: bool,
) -> Iterator[FramePrediction]:
    """What is said of a window, once its partial labels have been heard.

    Args:
      config: the options of propagation.
      window: with its partial labels.
      said: of every frame once, in any order.
      moves: whether labels travel; if not, partial labels count on their own frames alone.

    Yields:
      The frames in the same order. Whole labels stay as they are.
    """
    patches: dict[int, list[Patch]] = {}
    if moves:
        for label in sorted(window.partial, key=lambda label: label.index):
            for frame, patch in _moved(config, window, label):
                patches.setdefault(frame, []).append(patch)
    own, whole = {p.index: p.label for p in window.partial}, {key.index for key in window.keys}
    for one in said:
        if one.frame in whole:
            yield one
            continue
        distance = abs(one.frame - window.nearest(one.frame).index)
        one = _decided(one, distance, patches.get(one.frame, ()), config.weight_per_frame)
        if one.frame in own:
            fixed = own[one.frame] != KEPT
            came = np.int16(NO_PARTIAL) if one.partial is None else one.partial
            one = one._replace(
                labels=np.where(fixed, own[one.frame], one.labels).astype(one.labels.dtype),
                confidence=np.where(fixed, np.float32(1), one.confidence),
                partial=np.where(fixed, np.int16(0), came),
            )
        yield one


def _moved(
    config: PropagationConfig, window: LabelledWindow, label: Keyframe
) -> Iterator[tuple[int, Patch]]:
    """A partial label on all other frames that motion leads to from its own."""
    classes = _with_rest(window.classes)
    rest = classes.num_classes - 1
    key = Keyframe(label.index, np.where(label.label == KEPT, rest, label.label))
    alone = dataclasses.replace(
        window, keys=(key,), classes=classes, reach=None, leave_out=False, partial=(), further=(),
        between=None,
    )  # fmt: skip
    for one in along_chains(config, alone, inpaint=False, follow=True):
        if one.frame == label.index or one.trust is None:
            continue
        place = np.flatnonzero(one.labels != rest)
        distance = one.frame - label.index
        weight = side_weight(abs(distance), np.asarray(one.trust), config.weight_per_frame)
        share = np.asarray(one.confidence, np.float32)
        labels, weight, share = (a.reshape(-1)[place] for a in (one.labels, weight, share))
        yield one.frame, Patch(place, labels, weight, share, distance)


def _with_rest(classes: ClassMap) -> ClassMap:
    """The classes, and one more for pixels that a partial label leaves as they are."""
    return ClassMap(
        (*classes.ids, KEPT),
        (*classes.names, ""),
        np.concatenate([classes.colors, np.zeros((1, 3), np.uint8)]),
        (*classes.void, True),
    )


def _decided(
    said: FramePrediction,
    distance: int,
    patches: list[Patch] | tuple[()],
    weight_per_frame: float,
) -> FramePrediction:
    """Lets what has been moved to a frame speak beside what was said of it, nearest first.

    Args:
      said: of the frame, by the whole labels.
      distance: to the nearest of them, in frames.
      patches: that reach the frame.
      weight_per_frame: see ``fusion.side_weight``.
    """
    if not patches:
        return said
    weight = float(side_weight(distance, None, weight_per_frame))
    labels = said.labels.reshape(-1).copy()
    mass = np.float32(weight) * said.confidence.reshape(-1).astype(np.float32)
    total = np.full(mass.shape, weight, np.float32)
    came = np.full(mass.shape, NO_PARTIAL, np.int16)
    for patch in sorted(patches, key=lambda patch: abs(patch.distance)):
        at, own = patch.place, patch.weight * patch.share
        agrees = labels[at] == patch.labels
        if abs(patch.distance) < distance:
            doubted = at[~agrees]
            mass[doubted] *= np.float32(_CONTRADICTED)
            total[doubted] *= np.float32(_CONTRADICTED)
        total[at] += patch.weight
        mass[at[agrees]] += own[agrees]
        wins = ~agrees & (own > mass[at])
        labels[at[wins]], mass[at[wins]] = patch.labels[wins], own[wins]
        came[at[wins]] = patch.distance
    shape = said.labels.shape
    touched = np.zeros(mass.shape, bool)
    for patch in patches:
        touched[patch.place] = True
    confidence = np.where(touched, mass / total, said.confidence.reshape(-1))
    return said._replace(
        labels=labels.reshape(shape),
        confidence=confidence.reshape(shape).astype(np.float32),
        partial=came.reshape(shape),
    )
