"""Pairs of images with true flow, behind one interface for every origin."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from wrp_jax.data.source import VideoSource
from wrp_jax.data.synthetic.source import SyntheticSource
from wrp_jax.types import UserError

SYNTHETIC_MEMORY = 2 * 2**30
"""Bytes of rendered clips kept while training: pairs are drawn from all clips in turn."""


class FlowPair(NamedTuple):
    """Two pictures and the motion between them.

    Attributes:
      first, second: uint8 ``[h, w, 3]``, RGB.
      flow: float32 ``[h, w, 2]``, on ``first``, ``(dx, dy)`` in pixels, into ``second``; true also
        where the point is hidden in ``second`` or lies outside it. Finite everywhere.
      valid: bool ``[h, w]``: where ``flow`` is known.
    """

    first: Any
    second: Any
    flow: Any
    valid: Any


@runtime_checkable
class FlowPairs(Protocol):
    """A set of pairs. Random access; may be pickled to worker processes."""

    def __len__(self) -> int:
        """Number of pairs."""
        ...

    def pair(self, index: int, rng: np.random.Generator) -> FlowPair:
        """One pair; sets that draw their pairs anew take them from ``rng``."""
        ...


class SyntheticPairs:
    """Neighbouring frames of rendered clips, in both directions, with their exact flow."""

    def __init__(self, source: SyntheticSource):
        self._source = source
        self._steps = source.config.frames - 1

    def __len__(self) -> int:
        """Two pairs for each step of each clip."""
        return 2 * self._steps * len(self._source.sequences)

    def pair(self, index: int, rng: np.random.Generator) -> FlowPair:
        """Even indices run forwards in time, odd ones backwards."""
        del rng
        step, backwards = divmod(index, 2)
        which, step = divmod(step, self._steps)
        clip = self._source.clip(self._source.sequences[which])
        earlier, later = clip.frames[step], clip.frames[step + 1]
        if backwards:
            return known(later, earlier, clip.flow_backward[step])
        return known(earlier, later, clip.flow_forward[step])


class Mixture:
    """Several sets as one, each repeated so many times."""

    def __init__(self, parts: Sequence[tuple[FlowPairs, int]]):
        """Concatenates.

        Args:
          parts: a set, and how often it occurs in one pass.
        """
        self._sets = [pairs for pairs, _ in parts]
        self._ends = list(itertools.accumulate(len(pairs) * count for pairs, count in parts))

    def __len__(self) -> int:
        """Pairs of one pass."""
        return self._ends[-1] if self._ends else 0

    def part(self, index: int) -> int:
        """Which of the sets ``index`` falls into."""
        return bisect.bisect_right(self._ends, index)

    def pair(self, index: int, rng: np.random.Generator) -> FlowPair:
        """The pair of the set that ``index`` falls into."""
        which = self.part(index)
        start = self._ends[which - 1] if which else 0
        pairs = self._sets[which]
        return pairs.pair((index - start) % len(pairs), rng)


def known(first: np.ndarray, second: np.ndarray, flow: np.ndarray) -> FlowPair:
    """A pair whose flow is NaN where it is not known."""
    valid = np.asarray(np.isfinite(flow).all(axis=-1))
    return FlowPair(first, second, np.where(valid[..., None], flow, 0).astype(np.float32), valid)


def flow_pairs(source: VideoSource) -> FlowPairs:
    """The pairs of a source that knows its flow.

    Raises:
      UserError: it does not, or holds no two frames.
    """
    if isinstance(source, FlowPairs):
        return source
    if not isinstance(source, SyntheticSource):
        raise UserError(
            f"{source.name} has no true flow: give --data=synthetic:… or a set of "
            "wrp build, or --config.motion_training.optimiser.loss=unsupervised."
        )
    if source.config.frames < 2:
        raise UserError("synthetic:frames=1 has no motion: give two frames or more.")
    seed = source.seed_of(source.sequences[0])
    keeping = SyntheticSource(
        source.config, len(source.sequences), seed, cache_bytes=SYNTHETIC_MEMORY
    )
    return SyntheticPairs(keeping)
