"""Labels that are there to score against, and for nothing else.

Methods and training get their labels from ``data.KnownLabels``. This is the other side of that
gate: the one place of the package that asks a source for the labels of any other frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32


@runtime_checkable
class LabelSource(Protocol):
    """The part of ``data.VideoSource`` that scoring reads."""

    def label_names(self, sequence: str) -> frozenset[str]:
        """Names of the frames that have a label."""
        ...

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """One label, as class indices."""
        ...


class GroundTruth:
    """True labels of a source, for scoring."""

    def __init__(self, source: LabelSource):
        self._source = source

    def scored(self, sequence: str, keys: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
        """Those frames of a window, other than its labelled frames ``keys``, that have a label."""
        known = self._source.label_names(sequence)
        given = frozenset(keys)
        return tuple(name for name in names if name not in given and name in known)

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """The true label, class indices.

        Raises:
          UserError: the file is broken or holds something that is no label.
        """
        return self._source.label(sequence, name)
