"""Confidence that can be believed: what was right where labels were left out, by confidence.

Of two labelled frames each is shown by the other, as if it had no label (``leave_out``). There the
share of right labels is known for every confidence; the rising curve that fits it best (isotonic
regression) says what a confidence is worth as far away as that. Nearer to a label less goes wrong
where the method was sure; a pixel that was in doubt stays so. A window's confidence thus depends on
its own two labels alone.

References:
  Zadrozny, Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates",
  KDD 2002;
  Barlow, Bartholomew, Bremner, Brunk, "Statistical Inference under Order Restrictions", 1972.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Integer

from wrp_jax.propagation.held import HeldPredictions
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction

LEVELS = 256
"""Confidence in steps of 1/255, as pictures have it."""
_SURE = np.arange(LEVELS) / (LEVELS - 1)


def by_confidence(
    confidence: Float[np.ndarray, "*n"],
    labels: Integer[np.ndarray, "*n"],
    truth: Integer[np.ndarray, "*n"],
    scored: np.ndarray,
) -> Integer[np.ndarray, "2 256"]:
    """Pixels whose true label counts, by confidence in 1/255: all, and those that are right.

    Args:
      confidence: of the label, 0 … 1.
      labels: class indices.
      truth: class indices.
      scored: bool, per class; pixels that truly are of other classes (void) are left out.
    """
    keep = (truth >= 0) & (truth < len(scored))
    keep &= np.asarray(scored)[np.where(keep, truth, 0)]
    level = _level(confidence[keep])
    right = (labels == truth)[keep]
    return np.stack([np.bincount(x, minlength=LEVELS) for x in (level, level[right])])


def isotonic(counts: Integer[np.ndarray, "2 256"]) -> Float[np.ndarray, " 256"]:
    """The rising curve of accuracy over confidence that fits best (pool adjacent violators).

    Levels without a pixel take what lies between their neighbours, below all others a part of the
    lowest; without any pixel all stay as they are.

    Args:
      counts: of ``by_confidence``.
    """
    there = np.flatnonzero(counts[0])
    if not len(there):
        return _SURE
    blocks: list[list[float]] = []  # pixels, right ones, levels
    for level in there:
        blocks.append([float(counts[0, level]), float(counts[1, level]), 1])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    fitted = np.concatenate([np.full(int(n), right / pixels) for pixels, right, n in blocks])
    return np.interp(np.arange(LEVELS), np.append(-1, there), np.append(0.0, fitted))


def nearer(curve: Float[np.ndarray, " 256"], distance: int, span: int) -> Float[np.ndarray, " 256"]:
    """What a confidence is worth nearer to a label; rises with it, and falls with the distance.

    The share of wrong labels falls with a power of the distance that is 1 where all were right far
    away, as what motion does to sure labels adds up on the way, and 0 where half were.

    Args:
      curve: of ``isotonic``, as far away as labels were left out.
      distance: to the nearest labelled frame, 1 … ``span``.
      span: from one labelled frame to the other.
    """
    power = np.maximum(2.0 * curve - 1.0, 0.0)
    return 1.0 - (1.0 - curve) * (distance / span) ** power


def told(counts: Integer[np.ndarray, "2 256"]) -> Integer[np.ndarray, "2 256"]:
    """Left-out pixels by what their confidence is worth, of pixels by the confidence stated."""
    levels = _level(isotonic(counts))
    return np.stack([np.bincount(levels, x, LEVELS).astype(np.int64) for x in counts])


def believable(
    window: LabelledWindow, said: Iterator[FramePrediction]
) -> Iterator[FramePrediction]:
    """What is said of a window, once its confidence is what left-out labels have shown it to be.

    Nothing changes where no label was left out. Frames between two labelled ones wait, in files,
    until all is said of the window. Pixels that a partial label fixes stay certain.

    Args:
      window: what is labelled.
      said: of its frames.

    Yields:
      The same: first what comes of labelled frames, as it came, then the others in their order,
      with ``stated`` for the confidence that they had.
    """
    if not window.leave_out or len(window.keys) < 2:
        yield from said
        return
    truth = {key.index: key.label for key in window.keys}
    scored = ~np.asarray(window.classes.void)
    counts = np.zeros((2, LEVELS), np.int64)
    with HeldPredictions(window.scratch) as held:
        for one in said:
            if one.frame in truth:
                if window.is_left_out(one):
                    counts += by_confidence(one.confidence, one.labels, truth[one.frame], scored)
                yield one
            else:
                held.put(one._replace(posterior=None))
        curve = isotonic(counts) if counts.any() else None
        span = window.keys[-1].index - window.keys[0].index
        for number in range(held.count):
            one = held.take(number)
            if curve is not None:
                distance = abs(one.frame - window.nearest(one.frame).index)
                worth = nearer(curve, distance, span).astype(np.float32)
                sure = worth[_level(one.confidence)]
                if one.partial is not None:
                    sure = np.where(one.partial == 0, one.confidence, sure)
                one = one._replace(confidence=sure, stated=one.confidence)
            yield one


def _level(confidence: Float[np.ndarray, "*n"]) -> Integer[np.ndarray, "*n"]:
    return np.rint((LEVELS - 1) * np.asarray(confidence)).astype(np.int64)
