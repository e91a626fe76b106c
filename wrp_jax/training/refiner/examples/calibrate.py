"""Makes g_ψ as reliable on simulated clips as it is on the user's own video.

g_ψ was trained on the very frames that clips are simulated from, so there it may be better than
it will be; or worse, since clips are full of objects where they never are and of seams: a refiner
trained on that trusts it too much, or too little. How good it really is can be measured without
any further label, see ``propagation/chooser/agreement.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Int

from wrp_jax import interrupts
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.propagation.chooser.agreement import (
    AHEAD,
    Agreement,
    recall_and_precision,
    window_agreement,
)
from wrp_jax.propagation.window_cues import MadeCues
from wrp_jax.types import Motion, Segment, Window

_BORDER_CELL = 12  # pixels over which a border is displaced alike


class ReliabilityInWindows(NamedTuple):
    """How reliable g_ψ is on the user's own video.

    Attributes:
      sequences: of the windows looked at.
      windows: recall and precision per window and class, see ``recall_and_precision``.
      overall: the same of all windows together, the prior of each.
    """

    sequences: tuple[str, ...]
    windows: Float[np.ndarray, "windows c 2"]
    overall: Float[np.ndarray, "c 2"]

    def sample(self, rng: np.random.Generator, sequence: str | None) -> Float[np.ndarray, "c 2"]:
        """That of a random window of the sequence, or of any window where the sequence has none."""
        if not self.sequences:
            return self.overall
        own = [i for i, s in enumerate(self.sequences) if s == sequence]
        return self.windows[int(rng.choice(own or len(self.sequences)))]


def measure_reliability(
    known: KnownLabels,
    source: VideoSource,
    windows: Sequence[Window],
    motion: Motion,
    segment: Segment,
    *,
    limit: int = 12,
) -> ReliabilityInWindows:
    """Recall and precision of g_ψ in the windows, against labels that motion carried.

    Args:
      known: labels of the windows' labelled frames.
      source: the video.
      windows: at most ``limit`` of them are looked at, spread evenly.
      motion: f_θ.
      segment: g_ψ.
      limit: largest number of windows looked at.
    """
    sequences, found, pixels = [], [], 0
    size = known.classes.num_classes
    chosen = np.unique(np.linspace(0, len(windows) - 1, min(limit, len(windows))).astype(int))
    for index in chosen:
        interrupts.check()
        window = windows[index]
        names = source.frame_names(window.sequence)
        key, first, last = (names.index(n) for n in (window.key, window.first, window.last))
        first, last = max(first, key - AHEAD), min(last, key + AHEAD)
        if first == last:
            continue
        clip = read_clip(source, window.sequence, names[first : last + 1])
        label = known.label(window.sequence, window.key)
        cues = MadeCues(clip, motion, segment)
        sequences.append(window.sequence)
        found.append(window_agreement(cues, [(key - first, label)], size))
        pixels = label.size
    counts = np.array(found, np.int64).reshape(-1, 3, size)
    overall = recall_and_precision(Agreement(*counts.sum(0)), pixels)
    each = recall_and_precision(Agreement(*np.moveaxis(counts, 1, 0)), pixels, overall)
    return ReliabilityInWindows(tuple(sequences), each, overall)


def match_recalls(
    rng: np.random.Generator,
    probs: Float[np.ndarray, "h w c"],
    label: Int[np.ndarray, "h w"],
    goals: Float[np.ndarray, " c"],
) -> Float[np.ndarray, "h w c"]:
    """Brings the recall of every class in g_ψ's output to about a goal, from either side.

    In smooth random regions of a class' area the output is exchanged: where g_ψ does too well for
    that of another place, so that it is wrong the way networks are, in whole patches, with sharp
    borders, and sure of itself; where it does too badly for the truth with borders as vague as
    its own.

    Args:
      rng: source of every random choice.
      probs: output of g_ψ, distributions.
      label: the truth, class indices, -1 where unknown: nothing changes there.
      goals: recall wanted per class; NaN leaves the class' area as it is.
    """
    h, w, _ = probs.shape
    predicted = probs.argmax(-1)
    no_goal = np.isnan(np.append(goals, np.nan))[label]  # label -1 reads the last
    better = _blurred_truth(rng, probs, np.where(no_goal, predicted, label))
    worse = _shifted_prediction(rng, probs)
    cells = int(rng.integers(4, 13))
    field = cv2.resize(
        rng.uniform(size=(cells, cells)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
    )
    out = probs.copy()
    for index in np.unique(label[label >= 0]):
        if np.isnan(goals[index]):
            continue
        area = label == index
        right, goal = predicted[area] == index, goals[index]
        other = worse if right.mean() > goal else better
        # Which pixels turn, in the order of the field; as many as bring the recall to its goal.
        change = (other[area].argmax(-1) == index).astype(int) - right
        order = np.argsort(field[area], kind="stable")
        reached = right.mean() + np.cumsum(change[order]) / len(order)
        count = np.argmin(np.abs(np.concatenate([[right.mean()], reached]) - goal))
        exchanged = np.zeros(len(order), bool)
        exchanged[order[:count]] = True
        out[area] = np.where(exchanged[:, None], other[area], out[area])
    return out


def _shifted_prediction(
    rng: np.random.Generator, probs: Float[np.ndarray, "h w c"]
) -> Float[np.ndarray, "h w c"]:
    """At every pixel the output at another place of the picture."""
    h, w, _ = probs.shape
    shift = int(rng.integers(h // 4, 3 * h // 4 + 1)), int(rng.integers(w // 4, 3 * w // 4 + 1))
    return np.roll(probs[:, ::-1] if rng.uniform() < 0.5 else probs, shift, axis=(0, 1))


def _blurred_truth(
    rng: np.random.Generator, probs: Float[np.ndarray, "h w c"], label: Int[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w c"]:
    """A label map as a network would predict it: borders some pixels off, and vague."""
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
    blurred = [cv2.GaussianBlur(onehot[..., k], (0, 0), sigma) for k in range(c)]
    return (0.97 * np.stack(blurred, -1) + 0.03 * probs).astype(probs.dtype)
