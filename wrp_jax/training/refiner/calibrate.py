"""Makes g_ψ as reliable on simulated clips as it is on the user's own video.

g_ψ was trained on the very frames that clips are simulated from, so there it may be better than
it will be; or worse, since clips are full of objects where they never are and of seams: a refiner
trained on that trusts it too much, or too little. How good it really is can be measured without
any further label: a few frames from a labelled one, motion still carries the label faithfully,
and g_ψ either agrees or does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource
from wrp_jax.models.motion import Motion, clip_of
from wrp_jax.ops.warp import compose_flow, warp_labels
from wrp_jax.types import Window

Segment = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_MOST = 0.7  # largest share of the picture that is made wrong
_BORDER_CELL = 12  # pixels over which a border is displaced alike

_compose, _warp_labels = jax.jit(compose_flow), jax.jit(warp_labels)


def agreement(labels: np.ndarray, truth: np.ndarray, void: Sequence[bool]) -> float:
    """Mean IoU of what g_ψ says over the classes that occur; large areas weigh no more than others.

    Args:
      labels: class indices that g_ψ says.
      truth: class indices, -1 where unknown; unknown and void pixels are left out, since g_ψ
        need not know void.
      void: per class.

    Returns:
      0 … 1; 1 where nothing can be compared.
    """
    counted = (truth >= 0) & ~np.asarray(void)[np.maximum(truth, 0)]
    said, true = labels[counted], truth[counted]
    size = max(len(void), int(said.max(initial=0)) + 1)
    hits = np.bincount(true[said == true], minlength=size)
    there = np.bincount(true, minlength=size)
    union = there + np.bincount(said, minlength=size) - hits
    occurs = there > 0
    return float((hits[occurs] / union[occurs]).mean()) if occurs.any() else 1.0


def measured_agreement(
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
    *,
    ahead: int = 4,
    limit: int = 8,
) -> list[float]:
    """Agreement of g_ψ with labels that motion carried a few frames on, per window.

    Args:
      known: labels of the windows' labelled frames.
      source: the video.
      windows: at most ``limit`` of them are looked at, spread evenly.
      motion: f_θ.
      segment: g_ψ.
      ahead: how many frames on, as far as the window goes.
      limit: see there.

    Returns:
      One number in 0 … 1 for each window looked at that has a second frame.
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
        found.append(agreement(said, moved, known.classes.void))
    return found


def match_agreement(
    rng: np.random.Generator,
    probs: np.ndarray,
    label: np.ndarray,
    void: Sequence[bool],
    goal: float,
) -> np.ndarray:
    """Brings the agreement of g_ψ's output with the truth to about ``goal``, from either side.

    In smooth random regions the output is exchanged: where g_ψ does too well for that of another
    place, so that it is wrong the way networks are, in whole patches, with sharp borders, and sure
    of itself; where it does too badly (clips have objects in places where it never saw them)
    for the truth with borders as vague as its own.

    Args:
      rng: source of every random choice.
      probs: ``[h, w, c]``.
      label: the truth, class indices, -1 where unknown.
      void: per class.
      goal: agreement wanted.
    """
    h, w, _ = probs.shape
    labels = probs.argmax(-1)
    found = agreement(labels, label, void)
    other = _elsewhere(rng, probs) if found > goal else _told(rng, probs, label)
    says = other.argmax(-1)
    cells = int(rng.integers(4, 13))
    field = cv2.resize(
        rng.uniform(size=(cells, cells)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
    )
    # More exchanged, further away: halve the interval of levels between none and most.
    low = float(field.min())
    high = float(np.quantile(field, _MOST)) if found > goal else float(field.max())
    for _ in range(7):
        level = 0.5 * (low + high)
        reached = agreement(np.where(field <= level, says, labels), label, void)
        if (reached > goal) == (found > goal):
            low = level
        else:
            high = level
    return np.where((field <= high)[..., None], other, probs)


def _elsewhere(rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """The output of another place."""
    h, w, _ = probs.shape
    shift = int(rng.integers(h // 4, 3 * h // 4 + 1)), int(rng.integers(w // 4, 3 * w // 4 + 1))
    return np.roll(probs[:, ::-1] if rng.uniform() < 0.5 else probs, shift, axis=(0, 1))


def _told(rng: np.random.Generator, probs: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The truth as a network would say it: borders some pixels off, and vague."""
    h, w, c = probs.shape
    off = rng.uniform(0.5, 2.5)
    cells = max(w // _BORDER_CELL, 2), max(h // _BORDER_CELL, 2)
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    for axis in (x, y):
        coarse = rng.normal(size=cells[::-1]).astype(np.float32)
        axis += off * cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    truth = np.where(label < 0, probs.argmax(-1), label).astype(np.int16)
    truth = cv2.remap(truth, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    onehot = (truth[..., None] == np.arange(c)).astype(np.float32)
    sigma = rng.uniform(0.8, 2.0)
    told = [cv2.GaussianBlur(onehot[..., k], (0, 0), sigma) for k in range(c)]
    return (0.97 * np.stack(told, -1) + 0.03 * probs).astype(probs.dtype)
