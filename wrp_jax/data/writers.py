"""Results on disk: label and confidence pictures that appear only when they are complete.

``OUT/<sequence>/labels/<frame>.png`` is a palette PNG whose pixel values are file ids (255
where nothing is known), ``OUT/<sequence>/confidence/<frame>.png`` is grey, 255 = certain.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from wrp_jax.data import images, label_maps
from wrp_jax.types import ClassMap, UserError

RUN_FILE = "run.json"


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that is either not there or complete, whatever happens meanwhile.

    Raises:
      UserError: no permission, no space, a file in the place of a directory.
    """
    # One name per target: what a killed run leaves behind is overwritten by the next.
    temporary = path.parent / f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def sync_directory(path: Path) -> None:
    """Makes renames in a directory last; some network file systems cannot, which is ignored."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def check_output(output: Path, *roots: Path | None) -> None:
    """Refuses an output that is not to be written; writes nothing itself.

    Args:
      output: where results are to go; it need not exist.
      *roots: where inputs lie, see ``source.input_folder``; None and what is no directory are
        passed over.

    Raises:
      UserError: the output is a file, lies in an input, or nothing may be written there.
    """
    try:
        resolved = output.expanduser().resolve()
        existing = next(path for path in (resolved, *resolved.parents) if path.exists())
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, no such user
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{str(output)!r} is no place for an output: {reason}.") from error
    for root in filter(None, roots):
        for inside in _real_folders(root.expanduser()):
            if resolved == inside or inside in resolved.parents:
                raise UserError(
                    f"{output} lies inside the input {root}: choose an output outside of it, so "
                    "that results are not taken for labels."
                )
    if not existing.is_dir():
        raise UserError(f"{output} cannot be written: {existing} is a file; choose a directory.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{output} cannot be written: no permission in {existing}.")


def _real_folders(root: Path) -> set[Path]:
    """An input and its folders of frames and labels, which may be links to elsewhere."""
    found = (root, *root.glob("*"), *root.glob("*/frames"), *root.glob("*/labels"))
    return {path.resolve() for path in found if path.is_dir()}


def claim_output(output: Path, run: Mapping[str, Any]) -> None:
    """Marks an output as belonging to a run, so that a rerun skips only its own results.

    Args:
      output: the output directory.
      run: whatever the results depend on (configuration, checkpoint, windows); JSON values.

    Raises:
      UserError: the directory holds results of another run.
    """
    path = output / RUN_FILE
    wanted = json.loads(json.dumps(run))
    if path.is_file():
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path} cannot be read: remove {output} and run again.") from error
        differing = sorted(
            key for key in before.keys() | wanted.keys() if before.get(key) != wanted.get(key)
        )
        if differing:
            raise UserError(
                f"{output} holds results of a run with another {differing[0]}: choose another "
                "output or remove it."
            )
        return
    write_atomically(path, json.dumps(wanted, indent=1, sort_keys=True).encode())


def check_name(name: str) -> None:
    """Refuses names of sequences and frames that would lead elsewhere as a file's name, or that
    are no text: reports and data sets hold them too.

    Raises:
      UserError: it is such a name.
    """
    no_text = any("\ud800" <= c <= "\udfff" for c in name)  # bytes of a name that is not UTF-8
    if name in ("", ".", "..") or any(c in name for c in "/\\\0") or no_text:
        raise UserError(f"{name!r} is no name for a file: rename it in the input.")


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
