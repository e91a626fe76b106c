"""Cycles in time (paper, 3.4): labels go out l steps, come back and should be as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from wrp_jax import interrupts
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.propagation.rollout import cycle_order
from wrp_jax.training.refiner.examples.calibrate import ReliabilityInWindows, match_recalls
from wrp_jax.training.segmentation.transforms import (
    IGNORE,
    Augmentation,
    affine,
    affine_crop,
    recolour,
)
from wrp_jax.types import (
    Clip,
    ClipCues,
    Imitable,
    Motion,
    Segment,
    UserError,
    Window,
    clip_of,
)

_VARIETY = Augmentation(scale=(1.25, 1.6), stretch=0.05, rotation=0.0, blur=0.0, noise=0.0)
_OFF_CENTRE = 0.08  # of a side: a picture enlarged by that scale still fills the frame


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
    reliability: ReliabilityInWindows | None = None,
    varied: bool = False,
) -> Iterator[Cycle]:
    """Draws cycles ``t … t ± l … t`` with l from ``1 … max_length``.

    Frame t is one that g_ψ was trained on, and in a short video one of few.

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
      reliability: how reliable g_ψ is on real frames; at frame t the recalls of its output are
        brought to those of a window of the sequence, as on simulated clips. Its features stay as
        they are. None leaves all as it is.
      varied: each cycle runs over a part of the pictures, enlarged, often mirrored and in other
        light, the same for all of its frames, and g_ψ and f_θ see that.

    Raises:
      UserError: varied pictures, and a g_ψ that is read from files.
    """
    if varied and isinstance(segment, Imitable):
        raise UserError(
            "config.refiner.vary_cycles=true changes the frames, and the segmentation is read "
            "from files: give --config.refiner.vary_cycles=false."
        )
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
        truth = known.label(window.sequence, window.key)
        if varied:
            frames, truth = vary(rng, clip.stack(range(clip.count)), truth)
            clip = clip_of(frames)
        cues = clip_cues(clip, motion, segment)
        if reliability is not None:
            wanted = reliability.sample(rng, window.sequence)[:, 0]
            wanted = np.where(known.classes.void, np.nan, wanted)  # g_ψ need not know it
            probs, at = np.array(cues.probs), int(order[0, 0])
            probs[at] = match_recalls(rng, probs[at], truth, wanted)
            cues = cues._replace(probs=probs)
        yield Cycle(cues, order, truth, clip)


def vary(
    rng: np.random.Generator, frames: UInt8[np.ndarray, "n h w 3"], label: Int[np.ndarray, "h w"]
) -> tuple[UInt8[np.ndarray, "n h w 3"], Int[np.ndarray, "h w"]]:
    """A part of a clip, enlarged, in half of the cases mirrored, in other light.

    Args:
      rng: source of every random choice.
      frames: RGB; all are changed alike, so that motion stays motion.
      label: class indices of one of them, up to 254; -1 where unknown.

    Returns:
      Frames and label of the same shapes.
    """
    h, w = label.shape
    off = rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * (w, h)
    centre = (w - 1) / 2 + off[0], (h - 1) / 2 + off[1]
    matrix = affine(rng, (h, w), centre, _VARIETY)
    light = int(rng.integers(2**32))
    ids = np.where(label < 0, IGNORE, label).astype(np.uint8)
    parts = [affine_crop(frame, ids, matrix, (h, w)) for frame in frames]
    varied = [recolour(np.random.default_rng(light), part, _VARIETY) for part, _ in parts]
    cut = parts[0][1].astype(label.dtype)
    return np.stack(varied), np.where(cut == IGNORE, -1, cut)
