"""Makes g_ψ as reliable on simulated clips as it is on the user's own video.

g_ψ was trained on the very frames that clips are simulated from, so there it may be better than
it will be; or worse, since clips are full of objects where they never are and of seams: a refiner
trained on that trusts it too much, or too little. How good it really is can be measured without
any further label: a few frames from a labelled one, motion still carries the label faithfully,
and g_ψ either agrees or does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.models.motion import Motion, clip_of
from wrp_jax.ops.warp import compose_flow, warp_labels
from wrp_jax.propagation.cues import Segment
from wrp_jax.types import Window

_BORDER_CELL = 12  # pixels over which a border is displaced alike

_compose, _warp_labels = jax.jit(compose_flow), jax.jit(warp_labels)


def recalls(labels: np.ndarray, truth: np.ndarray, void: Sequence[bool]) -> np.ndarray:
    """Share of each class' true pixels that g_ψ calls so.

    Per class, because g_ψ misses what is rare and small while it gets large areas right, and a
    refiner must learn how far to believe it where it says that something rare is not there.

    Args:
      labels: class indices that g_ψ says.
      truth: class indices, -1 where unknown.
      void: per class; g_ψ need not know void, which is left out.

    Returns:
      0 … 1 per class, NaN where there is no true pixel.
    """
    size = len(void)
    there = np.bincount(truth[truth >= 0], minlength=size)
    hits = np.bincount(truth[(truth >= 0) & (labels == truth)], minlength=size)
    return np.where((there > 0) & ~np.asarray(void), hits / np.maximum(there, 1), np.nan)


def measured_recalls(
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
    *,
    ahead: int = 4,
    limit: int = 8,
) -> np.ndarray:
    """Recall of g_ψ against labels that motion carried a few frames on, per window.

    Args:
      known: labels of the windows' labelled frames.
      source: the video.
      windows: at most ``limit`` of them are looked at, spread evenly.
      motion: f_θ.
      segment: g_ψ.
      ahead: how many frames on, as far as the window goes.
      limit: see there.

    Returns:
      ``[windows, classes]``, of the windows looked at that have a second frame. Classes that a
      window lacks have their mean over the others, and those that all lack the mean of all; 1 where
      nothing was measured, NaN for void.
    """
    found = []
    chosen = np.unique(np.linspace(0, len(windows) - 1, min(limit, len(windows))).astype(int))
    for turn, index in enumerate(chosen):
        window = windows[index]
        names = source.frame_names(window.sequence)
        key, first, last = (names.index(n) for n in (window.key, window.first, window.last))
        # Forward and backward by turns; the other way where a window ends at its labelled frame.
        direction = 1 if (turn % 2 == 0 and last > key) or first == key else -1
        reach = min(ahead, last - key if direction > 0 else key - first)
        if not reach:
            continue
        frames = [
            source.frame(window.sequence, names[key + direction * i]) for i in range(reach + 1)
        ]
        flow = None
        in_time = slice(key, key + reach + 1) if direction > 0 else slice(key - reach, key + 1)
        seen = np.stack(frames[::direction])
        bound = motion.within(clip_of(seen, window.sequence, tuple(names[in_time])))
        for before, now in itertools.pairwise(frames):
            short = bound.pairs(now[None], before[None])
            flow = short if flow is None else np.asarray(_compose(short, flow)[0])
        label = known.label(window.sequence, window.key)
        moved, valid = _warp_labels(jnp.asarray(label)[None], jnp.asarray(flow))
        moved = np.where(np.asarray(valid[0]), np.asarray(moved[0]), -1)
        said = np.asarray(segment(frames[-1][None])[0][0]).argmax(-1)
        found.append(recalls(said, moved, known.classes.void))
    table = np.array(found).reshape(-1, known.classes.num_classes)
    for fallback in (_mean(table, axis=0), _mean(table, axis=None), np.float64(1.0)):
        table = np.where(np.isnan(table), fallback, table)
    return np.where(known.classes.void, np.nan, table)


def _mean(table: np.ndarray, axis: int | None) -> np.ndarray:
    """Mean of what is no NaN; NaN where nothing is left."""
    known = ~np.isnan(table)
    total, count = np.where(known, table, 0.0).sum(axis), known.sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def match_recalls(
    rng: np.random.Generator, probs: np.ndarray, label: np.ndarray, goals: np.ndarray
) -> np.ndarray:
    """Brings the recall of every class in g_ψ's output to about a goal, from either side.

    In smooth random regions of a class' area the output is exchanged: where g_ψ does too well for
    that of another place, so that it is wrong the way networks are, in whole patches, with sharp
    borders, and sure of itself; where it does too badly for the truth with borders as vague as
    its own.

    Args:
      rng: source of every random choice.
      probs: ``[h, w, c]``.
      label: the truth, class indices, -1 where unknown: nothing changes there.
      goals: recall wanted per class; NaN leaves the class' area as it is.
    """
    h, w, _ = probs.shape
    said = probs.argmax(-1)
    told = _told(rng, probs, np.where(np.isnan(np.append(goals, np.nan))[label], said, label))
    elsewhere = _elsewhere(rng, probs)
    cells = int(rng.integers(4, 13))
    field = cv2.resize(
        rng.uniform(size=(cells, cells)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
    )
    out = probs.copy()
    for index in np.unique(label[label >= 0]):
        if np.isnan(goals[index]):
            continue
        area = label == index
        right, goal = said[area] == index, goals[index]
        other = elsewhere if right.mean() > goal else told
        # Which pixels turn, in the order of the field; as many as bring the recall to its goal.
        change = (other[area].argmax(-1) == index).astype(int) - right
        order = np.argsort(field[area], kind="stable")
        reached = right.mean() + np.cumsum(change[order]) / len(order)
        count = np.argmin(np.abs(np.concatenate([[right.mean()], reached]) - goal))
        exchanged = np.zeros(len(order), bool)
        exchanged[order[:count]] = True
        out[area] = np.where(exchanged[:, None], other[area], out[area])
    return out


def _elsewhere(rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """The output of another place."""
    h, w, _ = probs.shape
    shift = int(rng.integers(h // 4, 3 * h // 4 + 1)), int(rng.integers(w // 4, 3 * w // 4 + 1))
    return np.roll(probs[:, ::-1] if rng.uniform() < 0.5 else probs, shift, axis=(0, 1))


def _told(rng: np.random.Generator, probs: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A label map as a network would say it: borders some pixels off, and vague."""
    h, w, c = probs.shape
    off = rng.uniform(0.5, 2.5)
    cells = max(w // _BORDER_CELL, 2), max(h // _BORDER_CELL, 2)
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    for axis in (x, y):
        coarse = rng.normal(size=cells[::-1]).astype(np.float32)
        axis += off * cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    truth = cv2.remap(
        label.astype(np.int16), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    onehot = (truth[..., None] == np.arange(c)).astype(np.float32)
    sigma = rng.uniform(0.8, 2.0)
    told = [cv2.GaussianBlur(onehot[..., k], (0, 0), sigma) for k in range(c)]
    return (0.97 * np.stack(told, -1) + 0.03 * probs).astype(probs.dtype)
