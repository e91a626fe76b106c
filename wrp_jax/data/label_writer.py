"""Results on disk: label and confidence pictures that appear only when they are complete.

``OUT/<sequence>/labels/<frame>.png`` is a palette PNG whose pixel values are file ids (255
where nothing is known), ``OUT/<sequence>/confidence/<frame>.png`` is grey, 255 = certain.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from wrp_jax.data import images, label_maps
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.output import check_name
from wrp_jax.types import ClassMap


class LabelWriter:
    """Writes labels and confidence of frames.

    Example:
      >>> writer = LabelWriter(Path("out"), source.classes)  # doctest: +SKIP
      >>> if not writer.is_done("street", "000003"):  # doctest: +SKIP
      ...     writer.write("street", "000003", label, confidence)
    """

    def __init__(self, output: Path, classes: ClassMap):
        """Creates nothing yet.

        Args:
          output: the directory that gets a folder per sequence.
          classes: class map of the labels.
        """
        self.output, self.classes = output, classes
        self._palette = label_maps.palette(classes)

    def label_path(self, sequence: str, frame: str) -> Path:
        """Where a label goes; UserError for names that are no file names."""
        return self.picture_path("labels", sequence, frame)

    def confidence_path(self, sequence: str, frame: str) -> Path:
        """Where a confidence goes."""
        return self.picture_path("confidence", sequence, frame)

    def picture_path(self, kind: str, sequence: str, frame: str) -> Path:
        """``OUT/<sequence>/<kind>/<frame>.png``, for further pictures beside the labels."""
        for name in (sequence, frame):
            check_name(name)
        return self.output / sequence / kind / f"{frame}.png"

    def is_done(self, sequence: str, frame: str) -> bool:
        """Whether both pictures are there; files appear only when complete."""
        # The label is written last.
        return (
            self.label_path(sequence, frame).is_file()
            and self.confidence_path(sequence, frame).is_file()
        )

    def write(
        self,
        sequence: str,
        frame: str,
        label: Int[np.ndarray, "h w"],
        confidence: Float[np.ndarray, "h w"],
    ) -> None:
        """Writes both pictures.

        Args:
          sequence: its name.
          frame: its name.
          label: class indices, or ``UNLABELLED``.
          confidence: 0 … 1; rounded to 1/255.

        Raises:
          UserError: the place cannot be written to.
          ValueError: confidence outside of 0 … 1 or not a number, or no class index.
        """
        ids = label_maps.indices_to_ids(label, self.classes)
        if confidence.size and not (confidence.min() >= 0 and confidence.max() <= 1):
            raise ValueError(f"confidence of {sequence} {frame} is not in 0 ... 1")
        grey = np.rint(confidence * 255).astype(np.uint8)
        write_atomically(self.confidence_path(sequence, frame), images.encode_png(grey))
        write_atomically(self.label_path(sequence, frame), images.encode_png(ids, self._palette))
