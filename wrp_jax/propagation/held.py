"""What was said of frames waits in files, so that memory does not grow with a window."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wrp_jax.propagation.array_file import ArrayFile
from wrp_jax.propagation.results import FramePrediction, Posterior

_Kind = tuple[str, tuple[int, ...], str]
"""Field, shape and type: arrays of one kind share a file."""


class _Kept(NamedTuple):
    """A prediction without its arrays, and where these are."""

    said: FramePrediction
    places: dict[str, tuple[_Kind, int]]


class HeldPredictions:
    """Predictions of frames, by number: their arrays in files, or in memory without a folder.

    Attributes:
      count: how many have been put.
    """

    def __init__(self, scratch: Path | None):
        """Holds none yet.

        Args:
          scratch: where the files go, which have no names; None: everything waits in memory.
        """
        self._scratch = scratch
        self._stack = contextlib.ExitStack()
        self._files: dict[_Kind, ArrayFile] = {}
        self._kept: dict[int, _Kept] = {}
        self.count = 0

    def __enter__(self) -> HeldPredictions:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, said: FramePrediction) -> int:
        """Keeps a prediction; its number, from 0."""
        places: dict[str, tuple[_Kind, int]] = {}
        if self._scratch is not None:
            posterior = said.posterior
            if posterior is not None:
                held = self._without_arrays(posterior, "posterior.", places)
                said = said._replace(posterior=Posterior(**held))
            said = FramePrediction(**self._without_arrays(said, "", places))
        self._kept[self.count] = _Kept(said, places)
        self.count += 1
        return self.count - 1

    def take(self, number: int) -> FramePrediction:
        """A prediction as it was put; it is held no more."""
        said, places = self._kept.pop(number)
        arrays = {name: self._files[kind].read(place, 1)[0]
                  for name, (kind, place) in places.items()}  # fmt: skip
        own: dict[str, Any] = {n: array for n, array in arrays.items() if "." not in n}
        of_posterior = {name.partition(".")[2]: a for name, a in arrays.items() if "." in name}
        if said.posterior is not None:
            own["posterior"] = said.posterior._replace(**of_posterior)
        return said._replace(**own)

    def _without_arrays(
        self,
        said: FramePrediction | Posterior,
        prefix: str,
        places: dict[str, tuple[_Kind, int]],
    ) -> dict[str, Any]:
        """The fields, with nothing in the place of pictures, which go into files."""
        fields: dict[str, Any] = said._asdict()
        assert self._scratch is not None
        for name, value in fields.items():
            if isinstance(value, Posterior) or np.ndim(value) < 2 or not np.size(value):
                continue
            array = np.asarray(value)
            kind = f"{prefix}{name}", array.shape, array.dtype.str
            if kind not in self._files:
                self._files[kind] = self._stack.enter_context(ArrayFile(self._scratch))
            places[f"{prefix}{name}"] = kind, self._files[kind].count
            self._files[kind].append(array[None])
            fields[name] = None
        return fields
