"""Makes g_ψ as unreliable on simulated clips as it is on the user's own video.

g_ψ was trained on the very frames that clips are simulated from, so there it is better than it
will be: a refiner trained on that would trust it too much. How good it really is can be measured
without any further label: a few frames from a labelled one, motion still carries the label
faithfully, and g_ψ either agrees or does not.
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
from wrp_jax.models.motion import Motion
from wrp_jax.ops.warp import compose_flow, warp_labels
from wrp_jax.types import Window

Segment = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_compose, _warp_labels = jax.jit(compose_flow), jax.jit(warp_labels)


def agreement(probs: np.ndarray, label: np.ndarray, void: Sequence[bool]) -> float:
    """Share of pixels on which g_ψ says the label; void and unlabelled pixels are left out.

    Args:
      probs: ``[h, w, c]``.
      label: class indices ``[h, w]``, -1 where unknown.
      void: per class. g_ψ need not know void.

    Returns:
      0 … 1; 1 where nothing can be compared.
    """
    counted = (label >= 0) & ~np.asarray(void)[np.maximum(label, 0)]
    if not counted.any():
        return 1.0
    return float((probs.argmax(-1) == label)[counted].mean())


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
        for before, now in itertools.pairwise(frames):
            short = motion.pairs(now[None], before[None])
            flow = short if flow is None else np.asarray(_compose(short, flow)[0])
        label = known.label(window.sequence, window.key)
        moved, valid = _warp_labels(jnp.asarray(label)[None], jnp.asarray(flow))
        moved = np.where(np.asarray(valid[0]), np.asarray(moved[0]), -1)
        found.append(agreement(segment(frames[-1][None])[0][0], moved, known.classes.void))
    return found


def mislead(
    rng: np.random.Generator,
    probs: np.ndarray,
    label: np.ndarray,
    void: Sequence[bool],
    goal: float,
) -> np.ndarray:
    """Brings the agreement of g_ψ's output down to about ``goal``.

    In smooth random regions the output is exchanged for that of another place, so that it is
    wrong the way networks are: in whole patches, with sharp borders, and sure of itself.

    Args:
      rng: source of every random choice.
      probs: ``[h, w, c]``.
      label: the truth, class indices.
      void: per class.
      goal: agreement wanted; where there is less already nothing changes.
    """
    h, w, _ = probs.shape
    now = agreement(probs, label, void)
    if now <= goal:
        return probs
    shift = int(rng.integers(h // 4, 3 * h // 4 + 1)), int(rng.integers(w // 4, 3 * w // 4 + 1))
    other = np.roll(probs[:, ::-1] if rng.uniform() < 0.5 else probs, shift, axis=(0, 1))
    lost = now - agreement(other, label, void)
    if lost <= 0:
        return probs
    share = min((now - goal) / lost, 0.7)
    cells = int(rng.integers(4, 13))
    field = cv2.resize(
        rng.uniform(size=(cells, cells)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
    )
    wrong = field <= np.quantile(field, share)
    return np.where(wrong[..., None], other, probs)
