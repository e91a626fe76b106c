"""A window and its labelled frames: what every method and every refiner starts from."""

from __future__ import annotations

import dataclasses
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
    cross, and end before the other's labelled frame.

    Attributes:
      cues: of the frames.
      keys: the labelled frame, or the two at the ends.
      classes: of the data set.
      motion: f_θ, for flows over several frames.
      reach: of two: how many frames the label of each travels at most; None: all the way.
      scratch: folder in which results of one chain may wait for those of the other; None: they
        wait in memory.
      leave_out: of two: whether the label of each that comes up to the other travels on to it, so
        that what comes of a labelled frame without its own label can be compared with it.
      partial: partial labels of further frames, ``KEPT`` where they leave pixels as they are.
    """

    cues: WindowCues
    keys: tuple[Keyframe, ...]
    classes: ClassMap
    motion: Motion
    reach: int | None = None
    scratch: Path | None = None
    leave_out: bool = False
    partial: tuple[Keyframe, ...] = ()

    def __post_init__(self):
        at = [key.index for key in self.keys]
        if len(at) != 1 and at != [0, self.cues.count - 1]:
            raise ValueError(f"frames {at} are labelled: one must be, or the first and the last")

    @property
    def starts(self) -> tuple[Keyframe, Keyframe]:
        """The labelled frames from which labels travel forward and backward in time."""
        return self.keys[0], self.keys[-1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self.keys[0].label.shape
        return height, width

    def orders(self, steps: int | None = None) -> Int[np.ndarray, "2 frames"]:
        """Frames that the two chains visit; see ``rollout.window_orders``."""
        n, (forward, backward) = self.cues.count, (key.index for key in self.starts)
        ends = n - 1, 0
        if len(self.keys) == 2:
            far = min(self.reach or n, n - 2)
            far += self.leave_out and far == n - 2
            ends = far, n - 1 - far
        return chain_orders((forward, backward), ends, steps)

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
