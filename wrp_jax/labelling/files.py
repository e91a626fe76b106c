"""Where the files of a run stand. Each appears only when it is complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer, UInt8

from wrp_jax.data.images import encode_png
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.files.atomic import write_atomically
from wrp_jax.labelling.plan import Plan
from wrp_jax.reporting.overlays import overlay

MOVES_IMAGES = "motion-only"
"""The method whose moved images can be written: joint image-label propagation (the paper, 4.1)."""


class OutputFiles:
    """The output folder of a plan.

    ``<sequence>/labels|overlays|confidence/<frame>.png`` hold the result of the main method,
    ``methods/<method>/<sequence>/labels|confidence/<frame>.png`` those of the others. On request
    ``images/`` beside the labels of motion-only hold the labelled frame's image, moved along.
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        classes = plan.source.classes
        self.writers = {
            method: LabelWriter(
                plan.output if method == plan.main else plan.output / "methods" / method, classes
            )
            for method in plan.methods
        }

    def window_path(self, number: int) -> Path:
        """What a finished window leaves behind, see ``window_result``."""
        return self.scratch() / f"{number:06d}.npz"

    def scratch(self) -> Path:
        """Where a window's cues are kept while it is labelled."""
        return self._plan.output / ".windows"

    def owned_frames(self, number: int) -> list[str]:
        """Frames whose labels are written from a window."""
        plan, window = self._plan, self._plan.windows[number]
        return [n for n in plan.frames(window) if plan.owner[window.sequence, n] == window]

    def complete(self, number: int) -> bool:
        """Whether every picture that is written from a window is there."""
        sequence = self._plan.windows[number].sequence
        return all(
            self._overlay_path(sequence, name).is_file()
            and self._moved_is_there(sequence, name)
            and all(writer.is_done(sequence, name) for writer in self.writers.values())
            for name in self.owned_frames(number)
        )

    def _moved_is_there(self, sequence: str, name: str) -> bool:
        asked = self._plan.config.propagation.move_images and MOVES_IMAGES in self._plan.methods
        return not asked or self._moved_path(MOVES_IMAGES, sequence, name).is_file()

    def write_moved(
        self, method: str, sequence: str, name: str, image: Float[np.ndarray, "h w 3"]
    ) -> None:
        """The image that was moved along with the labels; RGB in 0 … 1."""
        pixels = np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
        write_atomically(self._moved_path(method, sequence, name), encode_png(pixels))

    def _moved_path(self, method: str, sequence: str, name: str) -> Path:
        return self.writers[method].picture_path("images", sequence, name)

    def write_overlay(
        self,
        sequence: str,
        name: str,
        image: UInt8[np.ndarray, "h w 3"],
        labels: Integer[np.ndarray, "h w"],
        *,
        is_key: bool,
    ) -> None:
        """The frame under the class colours of its labels."""
        picture = overlay(image, labels, self._plan.source.classes, is_key=is_key)
        write_atomically(self._overlay_path(sequence, name), encode_png(picture))

    def _overlay_path(self, sequence: str, name: str) -> Path:
        return self.writers[self._plan.main].picture_path("overlays", sequence, name)
