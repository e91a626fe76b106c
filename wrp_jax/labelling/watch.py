"""Watches the labels of a window come, for the evidence that their quality is estimated from."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int, Integer

from wrp_jax.evaluation.confusion import confusion
from wrp_jax.propagation.array_file import ArrayFile
from wrp_jax.propagation.labelled_window import LabelledWindow
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.window_cues import Flows
from wrp_jax.quality.evidence import SIGNS, measure, on_grid
from wrp_jax.quality.signs import Signs, follow, least, pack, start_trail, unpack


class Watch:
    """Keeps labels on a coarse grid, in files without a name, until the window is labelled.

    Then motion is followed once for all methods: their evidence takes a few thousandths of a
    second per frame, and memory does not grow with the window.
    """

    def __init__(self, window: LabelledWindow, owned: Sequence[int], methods: Sequence[str]):
        """Watches the frames that are written from the window.

        Args:
          window: what is labelled, with a scratch folder.
          owned: those frames; labelled ones among them need no evidence.
          methods: that move labels.
        """
        keys = {key.index for key in window.keys}
        self._window, self.methods = window, tuple(methods)
        self.frames = tuple(frame for frame in owned if frame not in keys)
        self._stack = contextlib.ExitStack()
        self._files: dict[str, ArrayFile] = {}
        self._left_out: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
        self.evidence: dict[str, Float32[np.ndarray, "n c signs"]] = {}
        self.left_out: dict[str, Float32[np.ndarray, "k c signs"]] = {}
        self.left_out_matrices: dict[str, Int[np.ndarray, "k c c+1"]] = {}

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def see(self, method: str, said: FramePrediction) -> None:
        """Notes the labels of one frame, if they are asked for.

        Estimates are made from the confidence that the method states.
        """
        if method not in self.methods:
            return
        stated = said.confidence if said.stated is None else said.stated
        if self._window.is_left_out(said):
            true = next(key.label for key in self._window.keys if key.index == said.frame)
            matrix = confusion(true, said.labels, self._window.classes.num_classes)
            self._left_out[method, said.frame] = _both(said.labels, stated), matrix
        elif said.frame in self.frames:
            if method not in self._files:
                assert self._window.scratch is not None
                file = self._stack.enter_context(ArrayFile(self._window.scratch))
                self._files[method] = file
            self._files[method].put(said.frame, _both(said.labels, stated)[None])

    def finish(self) -> None:
        """Works out the evidence, once the window is labelled: by method, in the order of frames.

        ``evidence`` is that of ``frames``, ``left_out`` that of the labelled frames as the others
        show them, and ``left_out_matrices`` compare their own labels with what they were given.
        """
        found: dict[tuple[str, int], np.ndarray] = {}
        hidden: dict[tuple[str, int], np.ndarray] = {}
        count = self._window.classes.num_classes
        for frame, signs, is_left_out in self._signs():
            for method in self.methods:
                if is_left_out:
                    if (method, frame) in self._left_out:
                        labels, _ = self._left_out[method, frame]
                        hidden[method, frame] = measure(labels[0], labels[1], signs, count)
                elif method in self._files:
                    labels = self._files[method].read(frame, 1)[0]
                    found[method, frame] = measure(labels[0], labels[1], signs, count)
        for method in self.methods:
            if all((method, frame) in found for frame in self.frames):
                rows = [found[method, frame] for frame in self.frames]
                self.evidence[method] = _stack(rows, count)
            own = sorted(frame for name, frame in hidden if name == method)
            self.left_out[method] = _stack([hidden[method, frame] for frame in own], count)
            matrices = [self._left_out[method, frame][1] for frame in own]
            shape = (len(own), count, count + 1)
            self.left_out_matrices[method] = np.reshape(matrices, shape).astype(np.int64)

    def _signs(self) -> Iterator[tuple[int, Signs, bool]]:
        """Frames that are asked about, once each; then whether they were left out."""
        window, asked = self._window, frozenset(self.frames)
        if not self.methods or not (asked or self._left_out):
            return
        keys = {key.index for key in window.keys}
        forward, backward = window.orders()
        twice = frozenset(forward[1:].tolist()) & frozenset(backward[1:].tolist()) & asked
        assert window.scratch is not None
        with ArrayFile(window.scratch) as waiting:
            for order in (forward, backward):
                for frame, signs in self._walk(order):
                    if frame in keys:
                        yield frame, signs, True
                    elif frame not in twice:
                        if frame in asked:
                            yield frame, signs, False
                    elif order is forward:
                        waiting.put(frame, pack(signs)[None])
                    else:
                        # Both went through a byte, so that their order plays no part.
                        other = unpack(waiting.read(frame, 1)[0])
                        yield frame, least(other, unpack(pack(signs))), False

    def _walk(self, order: Int[np.ndarray, " frames"]) -> Iterator[tuple[int, Signs]]:
        cues = self._window.cues
        trail = None
        for before, frame in itertools.pairwise(order.tolist()):
            if frame == before:
                return
            ahead = frame > before
            ways: Flows = ("backward",) if ahead else ("forward",)
            first = min(before, frame)
            pair = cues.section(first, first + 2, semantics=False, flows=ways)
            flow = (pair.flow_backward if ahead else pair.flow_forward)[0]
            frames = pair.frames if ahead else pair.frames[::-1]
            if trail is None:
                trail = start_trail(frames[0])
            trail, signs = follow(trail, flow, frames[1])
            yield frame, signs


def _both(labels: Integer[np.ndarray, "h w"], confidence: Float32[np.ndarray, "h w"]) -> np.ndarray:
    return np.stack(on_grid(labels, confidence))


def _stack(rows: Sequence[np.ndarray], num_classes: int) -> Float32[np.ndarray, "n c signs"]:
    return np.stack(rows) if rows else np.zeros((0, num_classes, len(SIGNS)), np.float32)
