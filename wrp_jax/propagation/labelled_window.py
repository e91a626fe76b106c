"""A window and its labelled frame: what every method and every refiner starts from."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.ops.pixels import unit_range
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.types import ClassMap, Motion

_unit_range = jax.jit(unit_range)


@dataclasses.dataclass(frozen=True)
class LabelledWindow:
    """Consecutive frames, one of them labelled.

    Attributes:
      cues: of the frames.
      key_index: which frame is labelled.
      key_label: its class indices.
      classes: of the data set.
      motion: f_θ, for flows over several frames.
    """

    cues: WindowCues
    key_index: int
    key_label: Int[np.ndarray, "h w"]
    classes: ClassMap
    motion: Motion

    def key_image(self) -> Float[np.ndarray, "h w 3"]:
        """The labelled frame's image, RGB, 0 … 1."""
        return np.asarray(_unit_range(self.cues.clip.frame(self.key_index)))

    def key_frame(self) -> FramePrediction:
        """The labelled frame's own label."""
        label = self.key_label.astype(np.int32)
        sure, source = np.ones(label.shape, np.float32), np.zeros_like(label)
        return FramePrediction(self.key_index, label, sure, source)
