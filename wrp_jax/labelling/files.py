"""Where the files of a run stand. Each appears only when it is complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8

from wrp_jax.data.frame_files import frame_file
from wrp_jax.data.images import encode_png
from wrp_jax.data.label_maps import indices_to_ids, palette
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.records import fingerprint
from wrp_jax.labelling.plan import Plan, WindowJob
from wrp_jax.propagation.methods import METHODS
from wrp_jax.propagation.provenance import source_colors
from wrp_jax.quality.table import QUALITY_FILE
from wrp_jax.reporting.clips import CLIP_SCRIPT
from wrp_jax.reporting.overlays import error_png, jpeg, overlay

_PICTURE_QUALITY = 90


class OutputFiles:
    """The output folder of a plan.

    ``<sequence>/labels|overlays|confidence/<frame>.png`` hold the result of the main method,
    ``methods/<method>/<sequence>/labels|confidence/<frame>.png`` those of the others. Of frames
    with a true label there are ``errors/`` beside the labels of each method, and ``truth/``. On
    request ``images/`` beside the labels of motion-only hold the labelled frame's image, moved
    along. ``<sequence>/pictures/<frame>.jpg`` are the frames, for the report, where they have no
    files of their own that a browser shows.
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

    def window_path(self, job: WindowJob) -> Path:
        """What a finished window leaves behind, see ``window_result``.

        Named by the window alone: others may come and go beside it.
        """
        return self.scratch() / f"{fingerprint(job.window.identity)[:24]}.npz"

    def quality_path(self, method: str) -> Path:
        """How good the labels of a method are expected to be, beside them."""
        return self.writers[method].output / QUALITY_FILE

    def scratch(self) -> Path:
        """Where a window's cues are kept while it is labelled."""
        return self._plan.output / ".windows"

    def written(self, job: WindowJob) -> tuple[Path, ...]:
        """Every file that a window leaves behind."""
        sequence, paths = job.window.sequence, [self.window_path(job)]
        asked = self._plan.config.propagation.move_images
        movers = [name for name in self._plan.methods if asked and METHODS[name].moves_images]
        for i in job.owned:
            name = job.names[i]
            paths.append(self._overlay_path(sequence, name))
            if self._frame_file(sequence, name) is None:
                paths.append(self._picture_path(sequence, name))
            if i in job.scored:
                paths.append(self._truth_path(sequence, name))
                paths += [self._errors_path(m, sequence, name) for m in self._plan.methods]
            paths += [self._moved_path(method, sequence, name) for method in movers]
            if self._plan.config.propagation.write_source:
                for method in self._plan.methods:
                    paths += self._source_paths(method, sequence, name)
            for writer in self.writers.values():
                paths += [writer.label_path(sequence, name), writer.confidence_path(sequence, name)]
        return tuple(paths)

    def labels(self, job: WindowJob) -> list[tuple[str, Path]]:
        """The labels of each method that a window leaves behind, with the names of their frames."""
        sequence, names = job.window.sequence, [job.names[i] for i in job.owned]
        writers = self.writers.values()
        return [(name, w.label_path(sequence, name)) for name in names for w in writers]

    def write_moved(
        self, method: str, sequence: str, name: str, image: UInt8[np.ndarray, "h w 3"]
    ) -> None:
        """The image that was moved along with the labels, RGB."""
        write_atomically(self._moved_path(method, sequence, name), encode_png(image))

    def write_source(
        self, method: str, sequence: str, name: str, source: UInt8[np.ndarray, "h w 3"]
    ) -> None:
        """Where each pixel's label comes from, see ``propagation.provenance``: kind and side as a
        palette, age as grey.
        """
        told, age = self._source_paths(method, sequence, name)
        kind, side, steps = np.moveaxis(source, -1, 0)
        write_atomically(age, encode_png(steps))
        write_atomically(told, encode_png(2 * kind + (side == 1).astype(np.uint8), source_colors()))

    def _source_paths(self, method: str, sequence: str, name: str) -> tuple[Path, Path]:
        writer = self.writers[method]
        return (
            writer.picture_path("source", sequence, name),
            writer.picture_path("age", sequence, name),
        )

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
        """The frame under the class colours of its labels; and the frame itself for the report."""
        if self._frame_file(sequence, name) is None:
            picture = jpeg(image, _PICTURE_QUALITY)
            write_atomically(self._picture_path(sequence, name), picture)
        picture = overlay(image, labels, self._plan.source.classes, is_key=is_key)
        write_atomically(self._overlay_path(sequence, name), encode_png(picture))

    def _overlay_path(self, sequence: str, name: str) -> Path:
        return self.writers[self._plan.main].picture_path("overlays", sequence, name)

    def write_truth(self, sequence: str, name: str, true: Integer[np.ndarray, "h w"]) -> None:
        """The true label of a frame, class indices, in the form of the labels."""
        classes = self._plan.source.classes
        data = encode_png(indices_to_ids(true, classes), palette(classes))
        write_atomically(self._truth_path(sequence, name), data)

    def _truth_path(self, sequence: str, name: str) -> Path:
        return self.writers[self._plan.main].picture_path("truth", sequence, name)

    def write_errors(
        self,
        method: str,
        sequence: str,
        name: str,
        labels: Integer[np.ndarray, "h w"],
        true: Integer[np.ndarray, "h w"],
    ) -> None:
        """Where the labels of a method differ from the true ones."""
        data = error_png(labels, true, self._plan.source.classes)
        write_atomically(self._errors_path(method, sequence, name), data)

    def _errors_path(self, method: str, sequence: str, name: str) -> Path:
        return self.writers[method].picture_path("errors", sequence, name)

    def _frame_file(self, sequence: str, name: str) -> Path | None:
        return frame_file(self._plan.source, sequence, name)

    def _picture_path(self, sequence: str, name: str) -> Path:
        path = self.writers[self._plan.main].picture_path("pictures", sequence, name)
        return path.with_name(f"{name}.jpg")

    def clip_script(self, sequence: str) -> Path:
        """What the report reads of a sequence, see ``reporting.clips``."""
        return self._plan.output / sequence / CLIP_SCRIPT
