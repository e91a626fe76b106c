"""Simulated clips with their cues: real flow and real g_ψ run on them, exact labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from wrp_jax import interrupts
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.propagation.cues import clip_cues
from wrp_jax.simulation.clip import simulate_clip, typical_speeds
from wrp_jax.simulation.cutouts import Cutout, extract_cutouts
from wrp_jax.simulation.options import SimulationOptions
from wrp_jax.training.refiner.examples.calibrate import ReliabilityInWindows, match_recalls
from wrp_jax.types import ClipCues, Imitable, Motion, Segment, Window, clip_of

_RANGES = ((1, 2), (3, 5), (6, 8), (9, 10))
"""Steps at which guesses are made in each clip: one out of each range."""

_FASTEST = 0.04  # of the width, per frame
_SLOWEST = 0.004  # a still picture teaches nothing


class SimulatedClip(NamedTuple):
    """A clip made from a labelled frame.

    Attributes:
      frames: RGB.
      labels: class indices, -1 outside the classes.
      steps: steps at which examples are to be taken.
      cues: ``probs`` and ``features`` are zero at frames that g_ψ was not run on.
    """

    frames: UInt8[np.ndarray, "n h w 3"]
    labels: Int32[np.ndarray, "n h w"]
    steps: tuple[int, ...]
    cues: ClipCues


def measure_speeds(
    source: VideoSource, windows: Sequence[Window], motion: Motion, pairs: int = 24
) -> Float32[np.ndarray, " speeds"]:
    """Typical motion in the user's own windows, pixels per frame; no label is looked at.

    Args:
      source: the video.
      windows: what will be propagated.
      motion: f_θ.
      pairs: at most so many pairs of frames, spread evenly over the windows.
    """
    flows = []
    per_window = max(1, pairs // max(1, len(windows)))
    chosen = np.unique(np.linspace(0, len(windows) - 1, min(pairs, len(windows))).astype(int))
    for index in chosen:
        window = windows[index]
        names = source.frame_names(window.sequence)
        first, last = names.index(window.first), names.index(window.last)
        if last == first:
            continue
        for i in np.unique(np.linspace(first, last - 1, per_window + 2)[1:-1].astype(int)):
            pair = read_clip(source, window.sequence, names[i : i + 2])
            flows.append(motion(pair, [1], [0])[0])
    return typical_speeds(flows) if flows else np.array([2.0], np.float32)


def collect_cutouts(known: KnownLabels, rng: np.random.Generator, frames: int = 40) -> list[Cutout]:
    """Cut-outs of at most so many labelled frames."""
    order = rng.permutation(len(known.items))[:frames]
    cutouts = []
    for index in order:
        item = known.items[int(index)]
        label = item.label()
        cutouts += [c for c in extract_cutouts(item.frame(), label) if c.label >= 0]
    return cutouts


def simulated_clips(
    rng: np.random.Generator,
    known: KnownLabels,
    cutouts: Sequence[Cutout],
    speeds: Float[np.ndarray, " speeds"],
    motion: Motion,
    segment: Segment,
    *,
    count: int,
    keys: Sequence[int],
    key_share: float = 0.5,
    options: SimulationOptions | None = None,
    every_frame: bool = False,
    reliability: ReliabilityInWindows | None = None,
) -> Iterator[SimulatedClip]:
    """Makes clips one at a time.

    Args:
      rng: source of every random choice.
      known: labelled frames.
      cutouts: to paste.
      speeds: to draw from, pixels per frame; spread by a factor of 0.7 to 2.
      motion: f_θ.
      segment: g_ψ.
      count: number of clips.
      keys: places in ``known.items`` of the video's own labelled frames.
      key_share: share of the clips made from those; the rest is made from all.
      options: strengths of the simulation; None: the default.
      reliability: how reliable g_ψ is on real frames; in each clip its recalls are brought to those
        of a window of the clip's own sequence, or of any if there is none. None leaves it as it is.
      every_frame: run g_ψ on all frames rather than on the first and the guessed ones.
    """
    options = SimulationOptions() if options is None else options
    for _ in range(count):
        interrupts.check()
        own = bool(keys) and rng.uniform() < key_share
        index = int(rng.choice(keys)) if own else int(rng.integers(len(known.items)))
        item = known.items[index]
        speed = float(rng.choice(speeds) * np.exp(rng.uniform(np.log(0.7), np.log(2.0))))
        # Where flow breaks down its length says nothing.
        width = item.label().shape[1]
        speed = float(np.clip(speed, _SLOWEST * width, _FASTEST * width))
        # What comes into view looks like the rest of the same video, not like another one.
        alike = [i for i in known.items if i.source is item.source and i.sequence == item.sequence]
        other = alike[int(rng.integers(len(alike)))]
        frames, labels = simulate_clip(
            rng,
            item.frame(),
            item.label(),
            speed=speed,
            cutouts=cutouts,
            beyond=(other.frame(), other.label()),
            options=options,
        )
        steps = tuple(
            int(rng.integers(low, high + 1)) for low, high in _RANGES if high <= options.steps
        )
        seen = list(range(len(frames))) if every_frame else [0, *steps]
        clip = clip_of(frames)
        if isinstance(segment, Imitable):
            some_probs, some_features = segment.imitate(rng, labels[seen])
        else:
            some_probs, some_features = segment(clip, seen)
        some_probs = np.array(some_probs)
        sequence = item.sequence if index in keys else None
        if reliability is not None:
            wanted = reliability.sample(rng, sequence)[:, 0]
            wanted = np.where(known.classes.void, np.nan, wanted)  # g_ψ need not know it
            for i, t in enumerate(seen):
                some_probs[i] = match_recalls(rng, some_probs[i], labels[t], wanted)
        probs = np.zeros((len(frames), *some_probs.shape[1:]), np.float32)
        features = np.zeros((len(frames), *some_features.shape[1:]), np.float32)
        probs[seen], features[seen] = some_probs, some_features
        cues = clip_cues(clip, motion, None)._replace(probs=probs, features=features)
        yield SimulatedClip(frames, labels, steps, cues)
