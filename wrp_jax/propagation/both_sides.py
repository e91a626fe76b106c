"""Frames between labelled ones: what comes from both sides, or from more, becomes one label."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int

from wrp_jax.propagation.fusion import fuse, side_weight
from wrp_jax.propagation.held import HeldPredictions
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction


class _Waiting:
    """What came first of some frames, until the others come: in files, or in memory."""

    def __init__(self, scratch: Path | None):
        self._held = HeldPredictions(scratch)
        self._numbers: dict[int, list[int]] = collections.defaultdict(list)

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.__exit__()

    def count(self, frame: int) -> int:
        """How many have said something of a frame."""
        return len(self._numbers.get(frame, ()))

    def put(self, said: FramePrediction) -> None:
        assert said.posterior is not None  # along_chains and ChooserRefiner see to it
        # Labels are decided anew from the posterior.
        empty = np.empty((0, 0), np.int32)
        waits = said._replace(labels=empty, confidence=empty)
        self._numbers[said.frame].append(self._held.put(waits))

    def take(self, frame: int) -> list[FramePrediction]:
        """All that was said of a frame."""
        return [self._held.take(number) for number in self._numbers.pop(frame)]


def fuse_sides(
    window: LabelledWindow, said: Iterator[FramePrediction], weight_per_frame: float
) -> Iterator[FramePrediction]:
    """Decides every frame that is reached from several labelled frames of a window.

    What comes of a frame first waits in the window's scratch folder for what comes from the other
    labelled frames: memory does not grow with the window. Their order plays no part.

    Args:
      window: with several labelled frames.
      said: labels of the frames from each of them, with posteriors.
      weight_per_frame: see ``fusion.side_weight``.

    Yields:
      Every frame once: labelled frames, and those that one side alone reaches, as they came. So
      does what each labelled frame says of the other, where that was asked for.
    """
    times = window.reached()
    with _Waiting(window.scratch) as waiting:
        for one in said:
            if times.get(one.frame, 1) == 1:
                yield one
                continue
            if window.further:  # those of other pairs may have other columns
                one = _over_all_classes(one, window.classes.num_classes)
            if waiting.count(one.frame) == times[one.frame] - 1:
                yield _decide(window, [*waiting.take(one.frame), one], weight_per_frame)
            else:
                waiting.put(one)


def nearest_side(
    window: LabelledWindow, said: Iterator[FramePrediction]
) -> Iterator[FramePrediction]:
    """Of what comes from either labelled frame, what the nearer one says; it alone."""
    return (
        one for one in said if one.key == window.nearest(one.frame).index or window.is_left_out(one)
    )


def _over_all_classes(said: FramePrediction, num_classes: int) -> FramePrediction:
    """What is said, with a column for each class, and a last one for none of them."""
    posterior = said.posterior
    assert posterior is not None
    probs = np.zeros((*posterior.probs.shape[:-1], num_classes + 1), posterior.probs.dtype)
    for place, index in enumerate(posterior.classes):
        probs[..., index] += posterior.probs[..., place]
    classes = np.append(np.arange(num_classes, dtype=np.int32), np.int32(-1))
    return said._replace(posterior=posterior._replace(probs=probs, classes=classes))


def _decide(
    window: LabelledWindow, sides: list[FramePrediction], weight_per_frame: float
) -> FramePrediction:
    sides = sorted(sides, key=lambda side: side.key or 0)  # the earliest first
    frame = sides[0].frame
    found = [side.posterior for side in sides if side.posterior is not None]
    weights = [
        side_weight(abs(frame - (side.key or 0)), posterior.trust, weight_per_frame)
        for side, posterior in zip(sides, found, strict=True)
    ]
    fused = fuse([posterior.probs for posterior in found], weights)
    labels = found[0].classes[fused.place]
    void = window.classes.void_index
    if void is not None:
        labels[labels < 0] = void
    at = [key.index for key in window.all_keys]
    number = np.array([at.index(side.key or 0) for side in sides], np.int32)
    return FramePrediction(
        frame,
        labels,
        fused.confidence,
        _of_side(sides, fused.side),
        key=window.nearest(frame).index,
        side=number[fused.side],
    )


def _of_side(
    sides: list[FramePrediction], side: Int[np.ndarray, "h w"]
) -> Int[np.ndarray, "h w"] | None:
    """Where the label comes from on the side that speaks for it most."""
    sources = [one.source for one in sides if one.source is not None]
    if len(sources) < len(sides):
        return None
    return np.take_along_axis(np.stack(sources), side[None], axis=0)[0]
