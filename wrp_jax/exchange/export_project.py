"""Writes labels and their frames as the project of a tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from wrp_jax.data import label_maps
from wrp_jax.data.open_source import input_folder
from wrp_jax.exchange.coco import write_panoptic, write_stuff
from wrp_jax.exchange.label_studio import write_label_studio
from wrp_jax.exchange.labelled_frames import Labels, open_labels
from wrp_jax.exchange.segmentation_masks import write_cvat, write_voc
from wrp_jax.exchange.sink import Sink, is_archive, open_sink
from wrp_jax.exchange.trainers import (
    write_cityscapes,
    write_fiftyone,
    write_grey_ids,
    write_train_ids,
)
from wrp_jax.files.output import check_output

FORMATS: dict[str, Callable[[Labels, Sink], None]] = {
    "cityscapes": write_cityscapes,
    "coco-panoptic": write_panoptic,
    "coco-stuff": write_stuff,
    "cvat": write_cvat,
    "fiftyone": write_fiftyone,
    "grey-ids": write_grey_ids,
    "label-studio": write_label_studio,
    "train-ids": write_train_ids,
    "voc": write_voc,
}
"""The writers, by what is given as ``--to``."""
_WITH_OWN_CLASSES = ("fiftyone", "train-ids")


def export_project(
    out: Path,
    dest: Path,
    to: str,
    *,
    data: str | None = None,
    min_confidence: float = 0.0,
    frames: Path | None = None,
    below: float | None = None,
    unlabelled: bool = False,
) -> str:
    """Writes the project.

    Args:
      out: what ``propagate`` wrote, or a folder of data.
      dest: a folder, or a file that ends in ``.zip``.
      to: one of ``FORMATS``.
      data: see ``open_labels``.
      min_confidence: see there.
      frames: see there.
      below: see there.
      unlabelled: see there.

    Returns:
      What was done, in a sentence.

    Raises:
      UserError: as ``open_labels`` and the writer.
    """
    folder = dest.parent if is_archive(dest) else dest
    check_output(folder, out, input_folder(data) if data else None)
    labels = open_labels(out, data, min_confidence, frames, below, unlabelled=unlabelled)
    with open_sink(dest, to) as sink:
        FORMATS[to](labels, sink)
        if to not in _WITH_OWN_CLASSES:  # by which 'wrp import' gives back the ids
            content = json.dumps(label_maps.classes_to_json(labels.classes), indent=1) + "\n"
            sink.put(label_maps.CLASSES_FILE, content.encode())
    changed = f"{sink.made} files are new or changed" if sink.made else "it is unchanged"
    return f"{dest} holds {_what(labels, to)}; {changed}.{_left_out(labels)}"


def _what(labels: Labels, to: str) -> str:
    count, known = len(labels.frames), len(labels.labelled)
    frames = f"frame{'s' * (count != 1)}"
    if known == count:
        return f"{count} labelled {frames} for {to}"
    return f"{count} {frames} for {to}, {known} of them with labels"


def _left_out(labels: Labels) -> str:
    count = labels.left_out
    if not count:
        return ""
    are = "frames without a label are" if count > 1 else "frame without a label is"
    return f" {count} {are} left out: --unlabelled exports {'them' if count > 1 else 'it'}, too."
