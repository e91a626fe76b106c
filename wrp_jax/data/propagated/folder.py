"""The folder that ``propagate`` wrote: ``run.json`` says what was labelled by hand, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from wrp_jax.data import images, label_maps
from wrp_jax.data.propagated.stored import LabelsOnDisk, read_propagated
from wrp_jax.data.source import StoredSource, VideoSource
from wrp_jax.data.windows import owners
from wrp_jax.files.output import RUN_FILE
from wrp_jax.files.regular import MAX_BYTES, read_bytes
from wrp_jax.files.strict_json import read_json
from wrp_jax.types import UserError, Window

AUTO, FRAMES, MOVED = "auto", "frames", "moved"
"""Which pictures belong to the labels; see ``frames.propagated_frames``."""


class PropagatedFolder(LabelsOnDisk):
    """Labels and confidences of one method in the folder that ``propagate`` wrote."""

    def __init__(
        self, output: Path, source: VideoSource, method: str, images: str, confidence: float
    ):
        """Finds the files; no picture is opened yet. Arguments: see ``propagated_frames``."""
        run = _read_run(output)
        methods = run["methods"]
        if method and method not in methods:
            raise UserError(
                f"{output} has no labels of {method}, only of {', '.join(methods)}: give another "
                "config.student.method, or propagate with --method=all."
            )
        main = not method or method == methods[-1]
        self._root, self._source = output if main else output / "methods" / method, source
        classes = label_maps.parse_classes(run["classes"], str(output / RUN_FILE))
        super().__init__(str(self._root), source, classes, self._find(run, output), confidence)
        at_offset = [place for place, (_, offset) in self.places.items() if offset]
        written = bool(at_offset) and all(self._path("images", *p).is_file() for p in at_offset)
        if images == MOVED and not written:
            raise UserError(
                f"{self._root} has no moved pictures (<sequence>/images): propagate motion-only "
                "with --config.propagation.move_images=true, or give config.student.images=frames."
            )
        self.moved = written and images in (AUTO, MOVED)

    def _find(self, run: Mapping[str, Any], output: Path) -> dict[tuple[str, str], tuple[str, int]]:
        windows = []
        for sequence, key, *ends in run["windows"]:
            names = self._source.frame_names(sequence) if sequence in self._source.sequences else ()
            first, last = ends or (names[0], names[-1]) if names else ("", "")
            if not {key, first, last} <= set(names):
                raise UserError(
                    f"{output} was made from frame {sequence} {key}, which {self._source.name} "
                    "does not have: give what propagate wrote for this --data."
                )
            windows.append(Window(sequence, key, first, last))
        places = {}
        for (sequence, name), window in owners(windows, self._source).items():
            if self._path("labels", sequence, name).is_file():
                names = self._source.frame_names(sequence)
                places[sequence, name] = window.key, names.index(name) - names.index(window.key)
        return places

    def _path(self, kind: str, sequence: str, name: str) -> Path:
        return self._root / sequence / kind / f"{name}.png"

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """The picture, of the video or moved along."""
        if not self.moved:
            return self._source.frame(sequence, name)
        path = self._path("images", sequence, name)
        return images.decode_frame(read_bytes(path), path)

    def frame_size(self, sequence: str, name: str) -> tuple[int, int]:
        """Height and width of the picture."""
        if self.moved:
            path = self._path("images", sequence, name)
            return images.frame_size(path, path)
        if isinstance(self._source, StoredSource):
            return self._source.frame_size(sequence, name)
        height, width = self._source.frame(sequence, name).shape[:2]
        return height, width

    def _label(self, sequence: str, name: str) -> tuple[np.ndarray, Path | str]:
        path = self._path("labels", sequence, name)
        return read_propagated(read_bytes(path), self.classes, path), path

    def _confidence(self, sequence: str, name: str) -> tuple[np.ndarray, Path | str]:
        path = self._path("confidence", sequence, name)
        return images.decode_label(read_bytes(path), path).pixels, path


def _read_run(output: Path) -> dict[str, Any]:
    """What ``propagate`` says of itself in its output."""
    path = output / RUN_FILE
    advice = "give the --output of propagate as config.pseudo"
    if not path.is_file():
        raise UserError(
            f"{output} is not what propagate wrote, {RUN_FILE} is missing: {advice}, or run "
            "propagate again, which writes it anew."
        )
    try:
        run = dict(read_json(path, limit=MAX_BYTES))
        methods, rows = list(map(str, run["methods"])), list(run["windows"])
        if rows and not isinstance(rows[0], list):
            del rows[0]  # earlier versions began with the horizon
        if not methods or not all(len(row) in (2, 4) for row in rows):
            raise ValueError("its windows are none")
        if not all(isinstance(text, str) for row in rows for text in row):
            raise TypeError("its windows are none")
        return {"methods": methods, "windows": rows, "classes": run["classes"]}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is not of propagate ({error}): {advice}.") from error
