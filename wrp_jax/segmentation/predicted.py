"""g_ψ out of files: ``config.segmentation.name=precomputed``, see ``segmentation/predictions.py``.

Files know the video's own frames and no others. The simulated clips on which a refiner is
trained show new frames, for which a prediction is imitated: the true labels, with the
mistakes and the confidence that the files show on the labelled frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.segmentation.predictions import Predictions, block_means
from wrp_jax.types import Clip, Positions, UserError, Window

_SOFTNESS = 1.5  # pixels: networks are unsure at borders
_LEVELS = 64  # of the distributions of confidence


class PrecomputedSegment:
    """A ``Segment`` for frames that have names."""

    def __init__(
        self,
        predictions: Predictions,
        windows: Sequence[Window],
        known: KnownLabels | None = None,
    ):
        """Opens no prediction yet.

        Args:
          predictions: the folder.
          windows: predictions are imitated after those of their labelled frames.
          known: the labelled frames, where predictions are to be imitated.
        """
        self._predictions, self._known = predictions, known
        self._keys = [(w.sequence, w.key) for w in windows]
        self._error_model: ErrorModel | None = None

    def __call__(
        self, clip: Clip, positions: Positions
    ) -> tuple[Float[np.ndarray, "n h w c"], Float[np.ndarray, "n fh fw f"]]:
        """Finds the frames' files by their names.

        Raises:
          UserError: a file is missing or broken, or features differ in shape.
        """
        if not clip.names:
            raise ValueError("no file holds a prediction for frames of no video")
        height, width, _ = clip.frame(int(positions[0])).shape
        names = [clip.names[position] for position in positions]
        parts = [self._predictions.read(clip.sequence, name, (height, width)) for name in names]
        if len({features.shape for _, features in parts}) > 1:
            raise UserError(
                f"{self._predictions.folder}: features of the frames of {clip.sequence} differ in "
                "shape; write them alike for all frames, or for none."
            )
        return np.stack([probs for probs, _ in parts]), np.stack([f for _, f in parts])

    def imitate(
        self, rng: np.random.Generator, labels: Int[np.ndarray, "n h w"]
    ) -> tuple[Float[np.ndarray, "n h w c"], Float[np.ndarray, "n fh fw f"]]:
        """Predictions as these files would hold them for frames with these true labels.

        Args:
          rng: source of the mistakes.
          labels: class indices; -1 where unknown.
        """
        if self._error_model is None:
            if self._known is None:
                raise ValueError("predictions can be imitated where labels are known only")
            self._error_model = ErrorModel(self._known.classes.void)
            for key in self._keys[:32]:
                label = self._known.label(*key)
                probs, _ = self._predictions.read(*key, (label.shape[0], label.shape[1]))
                self._error_model.learn(probs, label)
        probs = np.stack([self._error_model.imitate(rng, label) for label in labels])
        return probs, np.stack([block_means(p) for p in probs])


class ErrorModel:
    """How a g_ψ errs: which class it says for which, and how sure it is when right and wrong."""

    def __init__(self, void: Sequence[bool]):
        """Args: void: per class; where the truth is void nothing is learnt about mistakes."""
        classes = len(void)
        self._void = np.asarray(void)
        # Before anything is seen: right, mostly.
        self._said = np.eye(classes) * 90.0 + 10.0 / classes
        self._sure = np.ones((2, _LEVELS))  # wrong, right

    def learn(self, probs: Float[np.ndarray, "h w c"], label: Int[np.ndarray, "h w"]) -> None:
        """Counts one labelled frame."""
        known = label >= 0
        truth, said = label[known], probs.argmax(-1)[known]
        level = (probs.max(-1)[known] * _LEVELS).astype(int).clip(0, _LEVELS - 1)
        np.add.at(self._said, (truth, said), 1.0)
        scored = ~self._void[truth]
        np.add.at(self._sure, ((said == truth)[scored].astype(int), level[scored]), 1.0)

    def imitate(
        self, rng: np.random.Generator, label: Int[np.ndarray, "h w"]
    ) -> Float[np.ndarray, "h w c"]:
        """A prediction in which mistakes keep together in smooth patches."""
        classes = len(self._void)
        truth = np.maximum(label, 0)
        place, sureness = _even_field(rng, label.shape), _even_field(rng, label.shape)
        said = np.zeros(label.shape, np.int64)
        for c in np.unique(truth):
            # The truth first: low places are right, the others are dealt out by frequency.
            order = np.concatenate([[c], np.setdiff1d(np.arange(classes), c)])
            bounds = np.cumsum(self._said[c, order]) / self._said[c].sum()
            here = truth == c
            said[here] = order[np.searchsorted(bounds, place[here]).clip(0, classes - 1)]
        right = (said == truth).astype(int)
        bounds = np.cumsum(self._sure, 1) / self._sure.sum(1, keepdims=True)
        levels = np.stack([np.searchsorted(b, sureness).clip(0, _LEVELS - 1) for b in bounds])
        sure = (np.take_along_axis(levels, right[None], 0)[0] + 0.5) / _LEVELS
        sure = np.maximum(sure, 1.0 / classes)
        probs = np.repeat(((1.0 - sure) / max(classes - 1, 1))[..., None], classes, -1)
        np.put_along_axis(probs, said[..., None], sure[..., None], -1)
        probs = probs.astype(np.float32)
        soft = [cv2.GaussianBlur(probs[..., c], (0, 0), _SOFTNESS) for c in range(classes)]
        return np.stack(soft, -1)


def _even_field(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A smooth random field whose values are spread evenly over 0 … 1."""
    cells = int(rng.integers(5, 16))
    coarse = rng.normal(size=(cells, cells)).astype(np.float32)
    field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    ranks = np.empty(field.size, np.float32)
    ranks[np.argsort(field, axis=None)] = np.arange(field.size, dtype=np.float32)
    return (ranks / field.size).reshape(shape)
