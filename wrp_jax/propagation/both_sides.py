"""Frames between two labelled ones: what comes from both sides becomes one label."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int

from wrp_jax.propagation.array_file import ArrayFile
from wrp_jax.propagation.fusion import fuse, side_weight
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction


class _Waiting:
    """What came first of some frames, until the other side comes: in files, or in memory."""

    def __init__(self, scratch: Path | None):
        self._scratch = scratch
        self._stack = contextlib.ExitStack()
        self._files: list[ArrayFile] | None = None
        self._held: dict[int, FramePrediction] = {}
        self._place: dict[int, int] = {}

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __contains__(self, frame: int) -> bool:
        return frame in self._held

    def put(self, said: FramePrediction) -> None:
        assert said.posterior is not None  # along_chains and ChooserRefiner see to it
        if self._scratch is None:
            self._held[said.frame] = said
            return
        posterior, source = said.posterior, said.source
        arrays = [
            array for array in (posterior.probs, posterior.trust, source) if array is not None
        ]
        if self._files is None:
            files = [ArrayFile(self._scratch) for _ in arrays]
            self._files = [self._stack.enter_context(file) for file in files]
        self._place[said.frame] = self._files[0].count
        for file, array in zip(self._files, arrays, strict=True):
            file.append(np.asarray(array)[None])
        # Labels are decided anew from the posterior.
        empty = np.empty((0, 0), np.int32)
        self._held[said.frame] = said._replace(
            labels=empty,
            confidence=empty,
            source=None if source is None else empty,
            posterior=posterior._replace(
                probs=empty, trust=None if posterior.trust is None else empty
            ),
        )

    def take(self, frame: int) -> FramePrediction:
        said = self._held.pop(frame)
        if self._scratch is None:
            return said
        assert self._files is not None and said.posterior is not None
        place = self._place.pop(frame)
        arrays = iter([file.read(place, 1)[0] for file in self._files])
        posterior = said.posterior._replace(probs=next(arrays))
        if posterior.trust is not None:
            posterior = posterior._replace(trust=next(arrays))
        source = None if said.source is None else next(arrays)
        return said._replace(posterior=posterior, source=source)


def fuse_sides(
    window: LabelledWindow, said: Iterator[FramePrediction], weight_per_frame: float
) -> Iterator[FramePrediction]:
    """Decides every frame that is reached from both labelled frames of a window.

    What comes of a frame first waits in the window's scratch folder for what comes from the other
    side: memory does not grow with the window.

    Args:
      window: with two labelled frames.
      said: labels of the frames from either, with posteriors.
      weight_per_frame: see ``fusion.side_weight``.

    Yields:
      Every frame once: labelled frames, and those that one side alone reaches, as they came. So
      does what each labelled frame says of the other, where that was asked for.
    """
    shared = _reached_by_both(window)
    with _Waiting(window.scratch) as waiting:
        for one in said:
            if one.frame not in shared:
                yield one
            elif one.frame in waiting:
                yield _decide(window, waiting.take(one.frame), one, weight_per_frame)
            else:
                waiting.put(one)


def nearest_side(
    window: LabelledWindow, said: Iterator[FramePrediction]
) -> Iterator[FramePrediction]:
    """Of what comes from either labelled frame, what the nearer one says; it alone."""
    return (
        one for one in said if one.key == window.nearest(one.frame).index or window.is_left_out(one)
    )


def _reached_by_both(window: LabelledWindow) -> frozenset[int]:
    forward, backward = (set(order[1:].tolist()) for order in window.orders())
    return frozenset((forward & backward) - {key.index for key in window.keys})


def _decide(
    window: LabelledWindow, one: FramePrediction, two: FramePrediction, weight_per_frame: float
) -> FramePrediction:
    sides = sorted((one, two), key=lambda side: side.key or 0)  # the earlier first
    found = [side.posterior for side in sides if side.posterior is not None]
    weights = [
        side_weight(abs(one.frame - (side.key or 0)), posterior.trust, weight_per_frame)
        for side, posterior in zip(sides, found, strict=True)
    ]
    fused = fuse([posterior.probs for posterior in found], weights)
    labels = found[0].classes[fused.place]
    void = window.classes.void_index
    if void is not None:
        labels[labels < 0] = void
    return FramePrediction(
        one.frame,
        labels,
        fused.confidence,
        _of_side(sides, fused.side),
        key=window.nearest(one.frame).index,
        side=fused.side.astype(np.uint8),
    )


def _of_side(
    sides: list[FramePrediction], side: Int[np.ndarray, "h w"]
) -> Int[np.ndarray, "h w"] | None:
    """Where the label comes from on the side that speaks for it most."""
    first, second = (one.source for one in sides)
    if first is None or second is None:
        return None
    return np.where(side == 0, first, second)
