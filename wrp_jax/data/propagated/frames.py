"""Which frames a student learns from, beside those that were labelled by hand.

Either form of what ``propagate`` wrote serves: the folder, or the TFDS data set in it
(``OUT/tfds``), whose columns say the same of the main method. How far a label was carried is worked
out or read per frame; which frames are used, and from which confidence on, is chosen here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from wrp_jax.data.known_labels import FurtherFrame
from wrp_jax.data.propagated.folder import AUTO, MOVED, PropagatedFolder
from wrp_jax.data.propagated.stored import LabelsOnDisk
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import owners
from wrp_jax.types import UserError, Window

_log = logging.getLogger(__name__)


def propagated_frames(
    output: Path,
    source: VideoSource,
    windows: Sequence[Window],
    *,
    offsets: Sequence[int],
    method: str = "",
    images: str = AUTO,
    confidence: float = 0.0,
) -> tuple[FurtherFrame, ...]:
    """The frames at some offsets from their labelled frames, with their propagated labels.

    Args:
      output: the folder that ``propagate`` wrote, or the TFDS data set in it.
      source: the video that was labelled; gives the frames where a folder is read.
      windows: of this run: their labelled frames must be those of the output.
      offsets: frames after the labelled frame, negative before it.
      method: whose labels; empty for the main method's.
      images: ``frames``: pictures of the video; ``moved``: those that were moved along with the
        labels; ``auto``: moved ones where they were written.
      confidence: 0 … 1; pixels below it are ``UNLABELLED``.

    Returns:
      In the order of the source. Labels are read when they are asked for.

    Raises:
      UserError: no such output, one of other classes or other labelled frames, no such method, no
        moved pictures where they are asked for, or no frame at these offsets.
    """
    if (output / "dataset_info.json").is_file():
        from wrp_jax.data.propagated.data_set import PropagatedTfds  # TFDS takes a while to import

        if method or images == MOVED:
            raise UserError(
                f"{output} is a TFDS data set, which holds the main method's labels and the "
                "video's frames alone: give the folder that propagate wrote as config.pseudo."
            )
        labels: LabelsOnDisk = PropagatedTfds(output, source, confidence)
    else:
        labels = PropagatedFolder(output, source, method, images, confidence)
    _check_keys(output, labels.keys, windows)
    wanted = frozenset(offsets)
    found = tuple(
        FurtherFrame(labels, *place, key, offset, labels.moved)
        for place, (key, offset) in labels.places.items()
        if offset in wanted
    )
    if not found:
        there = sorted({offset for _, offset in labels.places.values() if offset})
        span = f"from {there[0]} to {there[-1]}" if there else "none"
        raise UserError(
            f"{output} has no propagated label {_listed(wanted)} frames from a labelled one (its "
            f"offsets are {span}): give other config.student.offsets, or propagate further "
            "(--horizon)."
        )
    missing = wanted - {frame.offset for frame in found}
    if missing:
        _log.warning(
            "%s: no frame has a label %s frames from a labelled one", output, _listed(missing)
        )
    return found


def true_frames(
    source: VideoSource, windows: Sequence[Window], offsets: Sequence[int]
) -> tuple[FurtherFrame, ...]:
    """The same frames with their true labels, as far as they have any: the paper's oracle.

    Raises:
      UserError: none of them has a label.
    """
    owner = owners(windows, source)
    found = []
    for (sequence, name), window in owner.items():
        names = source.frame_names(sequence)
        offset = names.index(name) - names.index(window.key)
        if offset in offsets and name in source.label_names(sequence):
            found.append(FurtherFrame(source, sequence, name, window.key, offset))
    if not found:
        raise UserError(
            f"{source.name} has no true label {_listed(offsets)} frames from a labelled one: "
            "config.student.labels=true needs them."
        )
    return tuple(found)


def _check_keys(output: Path, keys: frozenset[tuple[str, str]], windows: Sequence[Window]) -> None:
    now = frozenset((w.sequence, w.key) for w in windows)
    for first, second, what in (
        (keys, now, "is not labelled by hand in this run"),
        (now, keys, "is labelled by hand in this run alone"),
    ):
        if first - second:
            differ = sorted(first - second)
            more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
            raise UserError(
                f"{output} was propagated from other labelled frames: {' '.join(differ[0])}{more} "
                f"{what}; give the same --data and --keyframes or --windows to both commands."
            )


def _listed(offsets: Iterable[int]) -> str:
    return ", ".join(f"{offset:+d}" for offset in sorted(offsets))
