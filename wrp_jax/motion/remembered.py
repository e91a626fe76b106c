"""A motion that does not estimate again what it was asked a moment ago."""

from __future__ import annotations

import collections

import numpy as np

from wrp_jax.types import Clip, Motion, Positions

_KEPT = 3
"""Calls whose flows are kept: a network that reads both directions is asked for one of them and
then for the other, and for long flows with a first guess and without."""


def remembered(motion: Motion) -> Motion:
    """The same motion; the flows of its last calls without a first guess are kept.

    What it returns must not be written to.

    Args:
      motion: its flows depend on the frames alone.
    """
    kept: collections.OrderedDict[tuple[tuple[int, int], ...], np.ndarray]
    kept, last = collections.OrderedDict(), None

    def ask(
        clip: Clip, targets: Positions, sources: Positions, initial: np.ndarray | None = None
    ) -> np.ndarray:
        nonlocal last
        if initial is not None:
            return motion(clip, targets, sources, initial)
        if clip != last:
            kept.clear()
            last = clip
        pairs = tuple((int(t), int(s)) for t, s in zip(targets, sources, strict=True))
        if pairs not in kept:
            kept[pairs] = motion(clip, targets, sources)
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        kept.move_to_end(pairs)
        return kept[pairs]

    return ask
