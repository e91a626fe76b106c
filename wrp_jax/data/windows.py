"""Windows: a labelled frame and the frames around it that get their labels from it.

Lists are text files: ``<sequence> <frame>`` per line for keyframes,
``<sequence> <labelled frame> <first> <last>`` for windows. Blank lines are passed over, and lines
that begin with ``#`` unless their first field is a sequence. A line with a tab between fields is
split at tabs only, for names with spaces.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import logging
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from wrp_jax.data.frame_names import in_order, same_number
from wrp_jax.data.source import VideoSource, partial_names
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UserError, Window

_MAX_LIST = 2**26  # bytes of a list of frames; a million lines take less

_log = logging.getLogger(__name__)


def read_windows(path: Path | str, source: VideoSource) -> tuple[Window, ...]:
    """Reads windows and keeps them as they are given; they may overlap.

    Raises:
      UserError: names file and line: a wrong number of fields, a sequence or frame that does
        not exist, a labelled frame without label or outside of its window, a labelled frame
        given twice, a sequence of one frame, or no window at all.
    """
    windows: list[Window] = []
    keys: set[tuple[str, str]] = set()
    for where, (sequence, key, first, last) in _read_fields(
        path, source, "<sequence> <labelled frame> <first> <last>"
    ):
        names = source.frame_names(sequence)
        low, middle, high = (names.index(name) for name in (first, key, last))
        if not low <= middle <= high:
            raise UserError(
                f"{where}: frame {key} does not lie in {first} ... {last} of sequence {sequence}."
            )
        _require_label(source, sequence, key, where)
        _require_video(source, sequence)
        windows.append(Window(sequence, key, first, last))
        if (sequence, key) in keys:
            raise UserError(
                f"{where}: frame {sequence} {key} is the labelled frame of two windows."
            )
        keys.add((sequence, key))
    _warn_gaps(source, windows)
    return tuple(windows)


def read_frames(
    path: Path | str, source: VideoSource, *, partial: bool = False, labelled: bool = True
) -> tuple[tuple[str, str], ...]:
    """Reads a list of frames, for ``--keyframes``, ``--stills`` and ``--frames``.

    Args:
      path: the list.
      source: the source.
      partial: whether frames may be listed that are labelled in part.
      labelled: whether every frame must have a label.

    Returns:
      ``(sequence, frame)`` in the order of the file.

    Raises:
      UserError: names file and line: a wrong number of fields, a sequence or frame that does
        not exist or has no label or is given twice, or no frame at all.
    """
    frames: list[tuple[str, str]] = []
    for where, (sequence, name) in _read_fields(path, source, "<sequence> <frame>"):
        if labelled and not (partial and name in partial_names(source, sequence)):
            _require_label(source, sequence, name, where)
        frames.append((sequence, name))
    repeated = collections.Counter(frames).most_common(1)
    if repeated and repeated[0][1] > 1:
        raise UserError(f"{path} names {' '.join(repeated[0][0])} more than once.")
    return tuple(frames)


def read_keyframes(path: Path | str, source: VideoSource) -> tuple[tuple[str, str], ...]:
    """Reads keyframes: ``read_frames``, and each must lie in a sequence of two frames or more.

    Frames that are labelled in part may be listed, and are left out: see ``choose_partial``.
    """
    listed = read_frames(path, source, partial=True)
    keyframes = tuple(frame for frame in listed if frame[1] not in partial_names(source, frame[0]))
    if not keyframes:
        raise UserError(f"{path} names partial labels alone: add a frame whose label is whole.")
    for sequence, _ in keyframes:
        _require_video(source, sequence)
    return keyframes


def choose_partial(source: VideoSource, keyframes: Path | str | None) -> frozenset[tuple[str, str]]:
    """Frames that are labelled in part, and whose labels count.

    Args:
      source: the video.
      keyframes: a list of labelled frames: those of them that it names; None: all.

    Returns:
      ``(sequence, frame)``.
    """
    there = {(s, name) for s in source.sequences for name in partial_names(source, s)}
    if keyframes and there:
        there &= set(read_frames(keyframes, source, partial=True))
    return frozenset(there)


def windows_of_keyframes(
    source: VideoSource, keyframes: Iterable[tuple[str, str]] | None, horizon: int
) -> tuple[Window, ...]:
    """Cuts the sequences so that each frame goes to its nearest keyframe.

    Args:
      source: the source.
      keyframes: ``(sequence, frame)``; every labelled frame if None.
      horizon: frames further from every keyframe than this stay out.

    Returns:
      One window per keyframe, in the order of the source; they do not overlap. Of two
      equally near keyframes the earlier gets the frame.

    Raises:
      UserError: no labelled frame at all, a keyframe without label, or a sequence of one
        frame.
    """
    if horizon < 1:
        raise UserError(f"horizon is {horizon}: it must be at least 1.")
    if keyframes is None:
        keyframes = [(s, name) for s in source.sequences for name in source.label_names(s)]
        if not keyframes:
            raise UserError(
                f"{source.name} has no labelled frame: put the label of at least one frame into "
                "<sequence>/labels/."
            )
    positions: dict[str, set[int]] = collections.defaultdict(set)
    for sequence, name in keyframes:
        _require_label(source, sequence, name, source.name)
        _require_video(source, sequence)
        positions[sequence].add(source.frame_names(sequence).index(name))
    windows = []
    for sequence in source.sequences:
        names, keys = source.frame_names(sequence), sorted(positions[sequence])
        for i, key in enumerate(keys):
            low, high = max(0, key - horizon), min(len(names) - 1, key + horizon)
            if i > 0:  # a frame in the middle belongs to the earlier keyframe
                low = max(low, (keys[i - 1] + key) // 2 + 1)
            if i + 1 < len(keys):
                high = min(high, (key + keys[i + 1]) // 2)
            windows.append(Window(sequence, names[key], names[low], names[high]))
    _warn_gaps(source, windows)
    return tuple(windows)


def window_frames(window: Window, source: VideoSource) -> tuple[str, ...]:
    """Names of the frames of a window, in order."""
    names = source.frame_names(window.sequence)
    return names[names.index(window.first) : names.index(window.last) + 1]


def seen_frames(window: Window, source: VideoSource) -> tuple[str, ...]:
    """Names of the frames of a window and of those from where further labels come, in order."""
    names = source.frame_names(window.sequence)
    places = [names.index(name) for name in (window.first, window.last, *window.further)]
    return names[min(places) : max(places) + 1]


def labelled_between(window: Window, names: Sequence[str]) -> tuple[int, int]:
    """First and last of the frames that a window labels, its own labelled ones left out.

    Args:
      window: which one.
      names: frame names in order, such as ``seen_frames``; the places are counted among them.
    """
    first, last = names.index(window.first), names.index(window.last)
    return first + (window.first in window.keys), last - (window.last in window.keys)


def whole_sequences(
    source: VideoSource, sequences: Iterable[str] | None = None
) -> tuple[Window, ...]:
    """One window over all frames of each sequence, for sources whose labels play no part.

    Args:
      source: the video.
      sequences: some of its sequences; all if None.
    """
    asked = source.sequences if sequences is None else sequences
    names = {sequence: source.frame_names(sequence) for sequence in asked}
    return tuple(Window(s, frames[0], frames[0], frames[-1]) for s, frames in names.items())


def owners(windows: Sequence[Window], source: VideoSource) -> dict[tuple[str, str], Window]:
    """The window that each frame's label is written from, where windows overlap.

    Returns:
      ``(sequence, frame) -> window`` for every frame of every window: the window with the
      nearest labelled frame; of two equally near ones the earlier, and of two with the same
      labelled frame the first. Frames that are out of reach between two labelled ones have none.
    """
    best: dict[tuple[str, str], tuple[int, int, Window]] = {}
    for window in windows:
        names = source.frame_names(window.sequence)
        keys = [names.index(key) for key in window.keys]
        for position in range(names.index(window.first), names.index(window.last) + 1):
            distance, key = min((abs(position - key), key) for key in keys)
            if len(keys) == 2 and distance > window.horizon:
                continue
            rank = (distance, key, window)
            frame = (window.sequence, names[position])
            if frame not in best or rank[:2] < best[frame][:2]:
                best[frame] = rank
    return {frame: window for frame, (_, _, window) in best.items()}


def _read_fields(
    path: Path | str, source: VideoSource, form: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields ``"file:line", fields`` with a sequence and frames that exist."""
    try:
        lines = read_bytes(path, _MAX_LIST).decode("utf-8-sig").splitlines()  # editors add a mark
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} cannot be read as a list of {form} lines ({error}): give a text file in UTF-8."
        ) from error
    count, found = form.count("<"), False
    for number, line in enumerate(lines, 1):
        line = line.strip()  # spreadsheets leave tabs behind the last field
        fields = tuple(line.split("\t") if "\t" in line else line.split())
        # A sequence may be called "#2".
        if not line or (line.startswith("#") and fields[0] not in source.sequences):
            continue
        where = f"{path}:{number}"
        if len(fields) != count:
            tabs = ", with tabs between them if names hold spaces" if len(fields) > count else ""
            raise UserError(f"{where} does not have {count} fields: write {form}{tabs}.")
        if fields[0] not in source.sequences:
            raise UserError(f"{where}: {source.name} has no sequence {fields[0]!r}.")
        for name in fields[1:]:
            if name not in source.frame_names(fields[0]):
                same = same_number(name, source.frame_names(fields[0]))
                hint = f"; write {same[0]}" if len(same) == 1 else ""
                raise UserError(
                    f"{where}: sequence {fields[0]} of {source.name} has no frame {name!r} "
                    f"(names are written without .jpg or .png{hint})."
                )
        found = True
        yield where, fields
    if not found:
        raise UserError(f"{path} is empty: write one {form} per line.")


def _require_label(source: VideoSource, sequence: str, name: str, where: str) -> None:
    if name not in source.label_names(sequence):
        partial = name in partial_names(source, sequence)
        has = "is labelled in part: its label has to be whole." if partial else "has no label file."
        raise UserError(
            f"{where}: frame {name} of sequence {sequence} is to be a labelled frame but {has}"
        )


def _require_video(source: VideoSource, sequence: str) -> None:
    if len(source.frame_names(sequence)) < 2:
        raise UserError(
            f"{source.name}: sequence {sequence} has one frame only and nothing to propagate to; "
            "add frames, or give it as --stills of another folder."
        )


def _warn_gaps(source: VideoSource, windows: Iterable[Window]) -> None:
    """Tells of numbered frames with some missing: motion is estimated across the gap."""
    told: set[tuple[str, str]] = set()
    gaps: dict[str, set[tuple[str, str]]] = {}
    for window in windows:
        if window.sequence not in gaps:
            gaps[window.sequence] = _gaps(source.frame_names(window.sequence))
        inside = window_frames(window, source)
        for before, after in itertools.pairwise(inside):
            if (before, after) in gaps[window.sequence] and (before, after) not in told:
                told.add((before, after))
                _log.warning(
                    "%s: frames seem to be missing between %s and %s of sequence %s",
                    source.name, before, after, window.sequence,
                )  # fmt: skip


def _gaps(names: Sequence[str]) -> set[tuple[str, str]]:
    """Neighbours whose numbers lie further apart than most do.

    None where not all frames have a number, or where their order is another than that of the
    numbers: a list of frames gave it.
    """
    order = in_order(names)
    if len(names) < 3 or order.numbers is None or order.names != tuple(names):
        return set()
    steps = [after - before for before, after in itertools.pairwise(order.numbers)]
    usual = statistics.median_low(steps)
    # Times are rounded, and their steps differ by less than half a step.
    far = [pair for pair, step in zip(itertools.pairwise(names), steps, strict=True)
           if 2 * step > 3 * usual]  # fmt: skip
    return set(far) if min(steps) > 0 else set()


def choose_windows(
    source: VideoSource,
    *,
    windows: Path | str | None,
    keyframes: Path | str | None,
    key_every: int,
    horizon: int,
    cut: int | None = None,
) -> tuple[Window, ...]:
    """The windows of a list, or those around the keyframes of a list or of a rule.

    Args:
      source: the video.
      windows: list for ``read_windows``, or None.
      keyframes: list for ``read_keyframes``, or None.
      key_every: without a list, the middle one of each so many frames is a keyframe; 0: every
        labelled frame is.
      horizon: frames to label on both sides of a keyframe.
      cut: instead of ``horizon``; listed windows are cut to it as well.

    Raises:
      UserError: both lists, a broken list, or no labelled frame.
    """
    if windows and keyframes:
        raise UserError("--windows and --keyframes exclude each other: give one of them.")
    if windows:
        listed = read_windows(windows, source)
        return listed if cut is None else tuple(_cut(window, source, cut) for window in listed)
    keys = None
    if keyframes:
        keys = read_keyframes(keyframes, source)
    elif key_every:
        keys = _regular_keyframes(source, key_every)
        if not keys:
            raise UserError(
                f"{source.name}: no frame in the middle of each {key_every} has a label: give a "
                "smaller --config.key_every, or 0 for every labelled frame."
            )
    return windows_of_keyframes(source, keys, cut or horizon)


def _regular_keyframes(source: VideoSource, every: int) -> list[tuple[str, str]]:
    """The middle one of each ``every`` frames, if it has a label."""
    keyframes = []
    for sequence in source.sequences:
        labelled = source.label_names(sequence)
        middles = source.frame_names(sequence)[every // 2 :: every]
        keyframes += [(sequence, name) for name in middles if name in labelled]
    return keyframes


def _cut(window: Window, source: VideoSource, horizon: int) -> Window:
    """The window, its ends no further than ``horizon`` from the labelled frame."""
    names = window_frames(window, source)
    key = names.index(window.key)
    first, last = max(0, key - horizon), min(len(names) - 1, key + horizon)
    return dataclasses.replace(window, first=names[first], last=names[last])
