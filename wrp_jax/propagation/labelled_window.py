"""A window and its labelled frames: what every method and every refiner starts from."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.ops.pixels import unit_range
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.rollout import chain_orders
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.types import ClassMap, Motion

_unit_range = jax.jit(unit_range)


class Keyframe(NamedTuple):
    """A labelled frame of a window.

    Attributes:
      index: which frame it is.
      label: its class indices.
    """

    index: int
    label: Int[np.ndarray, "h w"]


@dataclasses.dataclass(frozen=True)
class LabelledWindow:
    """Consecutive frames, one of them labelled, or the first and the last.

    Labels travel along two chains: forward in time from the first labelled frame, and backward
    from the last. Of one labelled frame they lead to the ends of the window; between two they
    cross, and end before the other's labelled frame. Where further labelled frames have a say, the
    frames that are labelled are a part of the window.

    Attributes:
      cues: of the frames.
      keys: the labelled frame, or the two at the ends of what is labelled.
      classes: of the data set.
      motion: f_θ, for flows over several frames.
      reach: of several: how many frames the label of each travels at most; None: all the way.
      scratch: folder in which results of one chain may wait for those of the other; None: they
        wait in memory.
      leave_out: of two: whether the label of each that comes up to the other travels on to it, so
        that what comes of a labelled frame without its own label can be compared with it.
      partial: partial labels of other frames, ``KEPT`` where they leave pixels as they are.
      further: labelled frames before and after those that have a say, too, in any order.
      between: first and last of the frames that are labelled from ``keys`` and ``further``; None:
        all of the window.
      joined: whether what ``keys`` say of a frame is to be heard beside what others say of it.
    """

    cues: WindowCues
    keys: tuple[Keyframe, ...]
    classes: ClassMap
    motion: Motion
    reach: int | None = None
    scratch: Path | None = None
    leave_out: bool = False
    partial: tuple[Keyframe, ...] = ()
    further: tuple[Keyframe, ...] = ()
    between: tuple[int, int] | None = None
    joined: bool = False

    def __post_init__(self):
        at = [key.index for key in self.keys]
        if (
            len(at) != 1
            and (self.between is None or len(at) != 2)
            and at != [0, self.cues.count - 1]
        ):
            raise ValueError(f"frames {at} are labelled: one must be, or the first and the last")

    @property
    def starts(self) -> tuple[Keyframe, Keyframe]:
        """The labelled frames from which labels travel forward and backward in time."""
        return self.keys[0], self.keys[-1]

    @property
    def shared(self) -> bool:
        """Whether several labelled frames have a say in a frame: methods give posteriors then."""
        return len(self.keys) == 2 or bool(self.further) or self.joined

    @property
    def all_keys(self) -> tuple[Keyframe, ...]:
        """All labelled frames that have a say, in order."""
        return tuple(sorted((*self.keys, *self.further), key=lambda key: key.index))

    @property
    def inner(self) -> tuple[int, int]:
        """First and last of the frames that labels travel to; of one labelled frame, itself too."""
        if self.between is not None:
            return self.between
        return (1, self.cues.count - 2) if len(self.keys) == 2 else (0, self.cues.count - 1)

    @property
    def frames(self) -> range:
        """The frames that are labelled, ``keys`` among them."""
        at = [key.index for key in self.keys]
        return range(min(self.inner[0], *at), max(self.inner[1], *at) + 1)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self.keys[0].label.shape
        return height, width

    def orders(self, steps: int | None = None) -> Int[np.ndarray, "2 frames"]:
        """Frames that the two chains visit; see ``rollout.window_orders``."""
        (first, last), (forward, backward) = self.inner, (key.index for key in self.starts)
        reach = self.reach or self.cues.count
        until = max(forward, min(forward + reach, last))
        back_to = min(backward, max(backward - reach, first))
        if self.leave_out and len(self.keys) == 2:
            until += until == backward - 1
            back_to -= back_to == forward + 1
        return chain_orders((forward, backward), (until, back_to), steps)

    def reached_by_both(self) -> frozenset[int]:
        """Frames to which labels travel from both of ``keys``."""
        return frozenset(frame for frame, times in self._visits().items() if times == 2)

    def reached(self) -> dict[int, int]:
        """From how many labelled frames labels travel to each frame, ``keys`` left out."""
        total = self._visits()
        for others in self.further_pairs():
            total += others._visits()
        return dict(total)

    def _visits(self) -> collections.Counter[int]:
        first, last = self.inner
        own = {key.index for key in self.keys}
        there = (set(order[1:].tolist()) - own for order in self.orders())
        return collections.Counter(
            frame for frames in there for frame in frames if first <= frame <= last
        )

    def further_pairs(self) -> Iterator[LabelledWindow]:
        """Windows of further labelled frames, one before and one after or one alone; nearest first.

        What is labelled in them, and what is on the way there, are frames of this window.
        """
        first, last = self.inner
        keys = sorted(self.further, key=lambda key: key.index)
        before = reversed([key for key in keys if key.index < first])
        after = [key for key in keys if key.index > last]
        for pair in itertools.zip_longest(before, after):
            own = tuple(key for key in pair if key is not None)
            yield dataclasses.replace(
                self, keys=own, further=(), between=(first, last), leave_out=False, partial=(),
                joined=True,
            )  # fmt: skip

    def nearest(self, frame: int) -> Keyframe:
        """The labelled frame that is nearest to one; of two equally near ones the earlier."""
        return min(self.keys, key=lambda key: abs(key.index - frame))

    def is_left_out(self, said: FramePrediction) -> bool:
        """Whether it is what another labelled frame says of a labelled one."""
        other = said.key is not None and said.key != said.frame
        return other and any(key.index == said.frame for key in self.keys)

    def key_image(self, key: Keyframe) -> Float[np.ndarray, "h w 3"]:
        """A labelled frame's image, RGB, 0 … 1."""
        return np.asarray(_unit_range(self.cues.clip.frame(key.index)))

    def key_frame(self, key: Keyframe) -> FramePrediction:
        """A labelled frame's own label."""
        label = key.label.astype(np.int32)
        sure, source = np.ones(label.shape, np.float32), np.zeros_like(label)
        return FramePrediction(key.index, label, sure, source, key=key.index)
