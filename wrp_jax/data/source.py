"""What a source of labelled video is, and how one is opened by its name on a command line."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax import interrupts
from wrp_jax.types import ClassMap, Clip, UserError, Window, clip_of


@runtime_checkable
class VideoSource(Protocol):
    """One folder, TFDS split or synthetic set: frames by name, and labels of some of them.

    Lives on the host, is random access, and may be pickled to worker processes.
    """

    @property
    def name(self) -> str:
        """What to call it in reports."""
        ...

    @property
    def classes(self) -> ClassMap:
        """The class map of its labels."""
        ...

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of the sequences, in natural order."""
        ...

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """Names of the frames of a sequence, in natural order."""
        ...

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """One frame, RGB, 0 … 255."""
        ...

    def label_names(self, sequence: str) -> frozenset[str]:
        """Names of the frames that have a label."""
        ...

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """One label, as class indices."""
        ...


@contextlib.contextmanager
def reading(frame: str) -> Iterator[None]:
    """A ``UserError`` of the body is about this frame: its picture, label, flow or prediction."""
    try:
        yield
    except UserError as error:
        error.frame = error.frame or frame
        raise


def read_frame(source: VideoSource, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """One frame; a ``UserError`` says which."""
    with reading(name):
        return source.frame(sequence, name)


def read_clip(source: VideoSource, sequence: str, names: Sequence[str]) -> Clip:
    """Frames of a source as a clip in memory."""
    frames = np.stack([read_frame(source, sequence, name) for name in names])
    return clip_of(frames, sequence, tuple(names))


@runtime_checkable
class StoredSource(Protocol):
    """What sources made of files offer besides."""

    def frame_size(self, sequence: str, name: str) -> tuple[int, int]:
        """Height and width of a frame, without decoding it."""
        ...

    def frame_bytes(self, sequence: str, name: str) -> bytes:
        """A frame as PNG or JPEG that every decoder reads as the same RGB picture."""
        ...


@runtime_checkable
class PartlyLabelledSource(Protocol):
    """What sources offer besides whose labels may be partial; ``label_names`` has none of them."""

    def partial_names(self, sequence: str) -> frozenset[str]:
        """Names of the frames with a label that leaves pixels as they are."""
        ...

    def partial_label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """Such a label as class indices, ``KEPT`` where it leaves the pixel as it is."""
        ...


def partial_names(source: VideoSource, sequence: str) -> frozenset[str]:
    """Names of the frames of a source that are labelled in part."""
    if not isinstance(source, PartlyLabelledSource):
        return frozenset()
    return source.partial_names(sequence)


class FrameNames(tuple[str, ...]):
    """Names of the frames of a sequence, in order; where one stands is found without a search.

    A plan asks that for each of its windows: with a plain tuple, thousands of windows in a long
    video would take a time that grows with the square of its length.
    """

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self)}

    def index(self, name: Any, /, *bounds: Any) -> int:
        """The place of a name; raises ``ValueError`` if it is none of these."""
        if bounds or name not in self._places:
            return super().index(name, *bounds)
        return self._places[name]

    def __contains__(self, name: object, /) -> bool:
        return name in self._places

    def __reduce__(self) -> tuple[Any, ...]:  # to worker processes without its table
        return FrameNames, (tuple(self),)


class TableOfFrames:
    """The names of a source, from its tables of what is where.

    Attributes:
      _frames, _labels: per sequence and frame name where it lies; both in natural order.
    """

    _frames: Mapping[str, Mapping[str, Any]]
    _labels: Mapping[str, Mapping[str, Any]]

    @functools.cached_property
    def _frame_names(self) -> dict[str, FrameNames]:
        return {sequence: FrameNames(frames) for sequence, frames in self._frames.items()}

    @functools.cached_property
    def _label_names(self) -> dict[str, frozenset[str]]:
        return {sequence: frozenset(labels) for sequence, labels in self._labels.items()}

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of the sequences, in natural order."""
        return tuple(self._frames)

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """Names of the frames, in natural order."""
        return self._frame_names[sequence]

    def label_names(self, sequence: str) -> frozenset[str]:
        """Names of the frames that have a label."""
        return self._label_names[sequence]


def frame_size(source: VideoSource, sequence: str, name: str) -> tuple[int, int]:
    """Height and width of a frame, from the header of its file where there is one."""
    with reading(name):
        if isinstance(source, StoredSource):
            return source.frame_size(sequence, name)
        height, width, _ = source.frame(sequence, name).shape
        return height, width


def validate(
    source: VideoSource,
    windows: Iterable[Window],
    labels: Iterable[tuple[str, str]] | None = None,
) -> None:
    """Checks all that a run is going to read, before it writes anything.

    Frames are checked by their headers and ends of file, labels by their pixels.

    Args:
      source: the source.
      windows: their frames must exist, be complete and have one size per sequence.
      labels: ``(sequence, frame)`` of the labels to check; the keyframes of the windows if
        None. A scoring run gives all the labels that it is going to score against.

    Raises:
      UserError: the first thing found wrong.
    """
    windows = tuple(windows)
    if isinstance(source, StoredSource):
        _validate_sizes(source, source, windows)
    wanted = [(w.sequence, w.key) for w in windows] if labels is None else labels
    for sequence, name in wanted:
        interrupts.check()
        if name not in source.label_names(sequence):
            raise UserError(f"{source.name}: frame {name} of sequence {sequence} has no label.")
        source.label(sequence, name)


def _validate_sizes(source: VideoSource, stored: StoredSource, windows: tuple[Window, ...]) -> None:
    needed: dict[str, set[int]] = {}
    for window in windows:
        names = source.frame_names(window.sequence)
        span = range(names.index(window.first), names.index(window.last) + 1)
        needed.setdefault(window.sequence, set()).update(span)
    for sequence, positions in needed.items():
        names = source.frame_names(sequence)
        first: tuple[int, int] | None = None
        for position in sorted(positions):
            interrupts.check()
            size = stored.frame_size(sequence, names[position])
            first = first or size
            if size != first:
                raise UserError(
                    f"{source.name}: frame {names[position]} of sequence {sequence} is "
                    f"{size[1]}x{size[0]} but the frames before it are {first[1]}x{first[0]}; "
                    "all frames of a sequence must have one size."
                )
