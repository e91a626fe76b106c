"""Temporal consistency of a window: its labels, compared along the flows that carried them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from wrp_jax.evaluation.flips import Flips, changed_along
from wrp_jax.propagation.array_file import ArrayFile
from wrp_jax.propagation.labelled_window import LabelledWindow

_TRUTH = "the truth"  # no method is called so


class KeptLabels:
    """Labels of a window by every method, in files until all of them are there.

    Labels travel outwards from the labelled frames, flows are there once a method has moved: when
    all methods are done, every pair of neighbours has what its comparison takes.
    """

    def __init__(self, directory: Path):
        """Makes no file yet.

        Args:
          directory: where the files go.
        """
        self._directory = directory
        self._stack = contextlib.ExitStack()
        self._files: dict[str, ArrayFile] = {}
        self._there: dict[str, set[int]] = {}

    def __enter__(self) -> KeptLabels:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, method: str, frame: int, labels: Integer[np.ndarray, "h w"]) -> None:
        """Keeps what a method says of a frame of the window."""
        if method not in self._files:
            self._files[method] = self._stack.enter_context(ArrayFile(self._directory))
            self._there[method] = set()
        # Class indices fit: 256 ids at most, and UNLABELLED is 255.
        self._files[method].put(frame, labels.astype(np.uint8)[None])
        self._there[method].add(frame)

    def put_truth(self, frame: int, labels: Integer[np.ndarray, "h w"]) -> None:
        """Keeps the true label of a frame."""
        if frame not in self._there.get(_TRUTH, ()):
            self.put(_TRUTH, frame, labels)

    def flips(self, window: LabelledWindow, methods: Sequence[str]) -> dict[str, Flips]:
        """Compares every two neighbours that have labels, along flows that are there already.

        Args:
          window: of the labels; a method has moved in it.
          methods: that it was labelled by.
        """
        found = {method: Flips() for method in methods}
        for first in range(window.cues.count - 1):
            pair = [first, first + 1]
            names = [name for name, there in self._there.items() if there.issuperset(pair)]
            if not names:
                continue
            # On the frame that lies further from the labelled one, into the nearer: labels come
            # along this flow, and of one labelled frame no other is made.
            away = first >= window.keys[0].index
            flows = ("backward",) if away else ("forward",)
            cues = window.cues.section(first, first + 2, semantics=False, flows=flows)
            flow = np.asarray(cues.flow_backward[0] if away else cues.flow_forward[0])
            target, source = reversed(pair) if away else pair

            def changed(name: str, target: int = target, source: int = source, flow=flow):
                here, there = (self._files[name].read(i, 1)[0] for i in (target, source))
                return changed_along(here, there, flow)

            of_truth = changed(_TRUTH) if _TRUTH in names else None
            for name in names:
                if name in found:
                    found[name].add(changed(name), of_truth)
        return found
