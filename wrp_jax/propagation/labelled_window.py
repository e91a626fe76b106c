"""A window and its labelled frame: what every method and every refiner starts from."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
from jaxtyping import Float, Int

from wrp_jax.propagation.cues import Chain, lay_out
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.propagation.window_cues import WindowCues
from wrp_jax.types import ClassMap, Motion


@dataclasses.dataclass(frozen=True)
class LabelledWindow:
    """Consecutive frames, one of them labelled.

    Attributes:
      cues: of the frames.
      key_index: which frame is labelled.
      key_label: its class indices.
      classes: of the data set.
      motion: f_θ for these frames (``Motion.within``), for flows over several frames.
    """

    cues: WindowCues
    key_index: int
    key_label: Int[np.ndarray, "h w"]
    classes: ClassMap
    motion: Motion

    def chain(self, orders: Int[np.ndarray, "b frames"], labels_only: bool = False) -> Chain:
        """``lay_out`` of the cues of the frames that ``orders`` visit, and of no others."""
        parts = []
        for order in orders:
            first, last = int(order.min()), int(order.max())
            section = self.cues.section(first, last + 1, semantics=not labels_only)
            parts.append(lay_out(section, order[None] - first))
        # Time leads and chains follow, in every field.
        return jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)

    def key_image(self) -> Float[np.ndarray, "h w 3"]:
        """The labelled frame's image, RGB, 0 … 1."""
        key = self.key_index
        return np.asarray(self.cues.section(key, key + 1, semantics=False).images[0])

    def key_frame(self) -> FramePrediction:
        """The labelled frame's own label."""
        label = self.key_label.astype(np.int32)
        sure, source = np.ones(label.shape, np.float32), np.zeros_like(label)
        return FramePrediction(self.key_index, label, sure, source)
