"""Cycles in time (paper, 3.4): labels go out l steps, come back and should be as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from wrp_jax import interrupts
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.rollout import cycle_order
from wrp_jax.types import Clip, ClipCues, Motion, Segment, Window


class Cycle(NamedTuple):
    """A way out from a labelled frame t, and back.

    Attributes:
      cues: of ``l + 1`` frames, in the order of time.
      order: their places in the order of the visits, ``t … t±l … t``.
      truth: class indices of frame t, L_t.
      clip: the frames.
    """

    cues: ClipCues
    order: Int[np.ndarray, "1 2l+1"]
    truth: Int[np.ndarray, "h w"]
    clip: Clip

    @property
    def length(self) -> int:
        """Frames between the labelled one and the turn, l."""
        return self.order.shape[1] // 2


def draw_cycles(
    rng: np.random.Generator,
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
    *,
    count: int,
    max_length: int = 6,
) -> Iterator[Cycle]:
    """Draws cycles ``t … t ± l … t`` with l from ``1 … max_length``.

    Args:
      rng: source of every random choice.
      known: holds the labels of the windows' labelled frames.
      source: the video.
      windows: each is a labelled frame and frames around it; one without another frame gives
        no cycle.
      motion: f_θ.
      segment: g_ψ.
      count: number of draws.
      max_length: largest l.
    """
    for _ in range(count):
        interrupts.check()
        window = windows[int(rng.integers(len(windows)))]
        names = source.frame_names(window.sequence)
        key, first, last = (names.index(n) for n in (window.key, window.first, window.last))
        room = [d for d in (1, -1) if first <= key + d <= last]
        if not room:
            continue
        direction = int(rng.choice(room))
        reach = (last - key) if direction > 0 else (key - first)
        length = int(rng.integers(1, min(max_length, reach) + 1))
        there = names[key : key + length + 1] if direction > 0 else names[key - length : key + 1]
        order = cycle_order(0 if direction > 0 else length, length, direction)
        clip = read_clip(source, window.sequence, there)
        cues = clip_cues(clip, motion, segment)
        yield Cycle(cues, order, known.label(window.sequence, window.key), clip)
