"""Examples from cycles in time (paper, 3.4): labels go out l steps and come back, and should
be what they were.

For a chooser the way back is a chain of its own, whose key frame is the turning frame with the
labels that arrived there: a hypothesis that saw the start frame itself would give the answer
away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.propagation.chooser.chains import long_flows
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.training.refiner.crops import Crop, chain_moments, cut_crops
from wrp_jax.types import Clip, ClipCues, Motion, Segment, Window


class Cycle(NamedTuple):
    """A way out from a labelled frame, and back.

    Attributes:
      cues: of ``l + 1`` frames.
      out: ``[1, l + 1]``, places in them on the way out.
      truth: class indices of the labelled frame, L_t.
      clip: the frames.
    """

    cues: ClipCues
    out: np.ndarray
    truth: np.ndarray
    clip: Clip


def cycles(
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
        out = np.arange(length + 1)[None] if direction > 0 else np.arange(length, -1, -1)[None]
        clip = read_clip(source, window.sequence, there)
        cues = clip_cues(clip, motion, segment)
        yield Cycle(cues, out, known.label(window.sequence, window.key), clip)


def cycle_crops(
    rng: np.random.Generator,
    cycle: Cycle,
    motion: Motion,
    class_weights: np.ndarray,
    reliability: np.ndarray,
    *,
    crops: int,
) -> Iterator[Crop]:
    """Crops for a chooser at the end of one cycle.

    Args:
      rng: source of the crops' positions.
      cycle: one of ``cycles``.
      motion: f_θ.
      class_weights: loss weight per class index.
      reliability: of g_ψ, ``[classes, 2]``.
      crops: how many.
    """
    cues, out, truth, clip = cycle
    steps = frozenset({out.shape[1] - 1})
    # On the way out the chain alone is read, so the long flows need no estimate of their own.
    long = long_flows(clip, cues, out, motion, steps=frozenset())
    turned = next(chain_moments(cues, long, out, truth, steps)).labels()
    back = out[:, ::-1]
    long = long_flows(clip, cues, back, motion, steps=steps)
    for moment in chain_moments(cues, long, back, turned[0], steps):
        yield from cut_crops(rng, moment, truth, class_weights, reliability, count=crops)
