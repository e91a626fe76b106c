"""Video in memory: arrays of frames and labels as a ``VideoSource``, checked when they come in."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.data.class_map import Classes, class_map
from wrp_jax.data.label_maps import NO_CLASSES, ids_to_indices
from wrp_jax.data.source import TableOfFrames
from wrp_jax.types import ClassMap, UserError

Frames = Any
"""A clip, see ``ArraySource``; ``check_frames`` says what is wrong with another one."""

Labels = Any
"""``{index of a frame: label}``, see ``ArraySource``; ``check_labels`` says what is wrong."""

VIDEO = "video"
"""The sequence of a source of one clip."""


class ArraySource(TableOfFrames):
    """A ``VideoSource`` of clips in memory; nothing is copied.

    Frames are named by their index in six digits: ``000000``, ``000001``, ….

    Example:
      >>> frames = np.zeros((3, 4, 6, 3), np.uint8)
      >>> source = ArraySource({"a": (frames, {1: np.zeros((4, 6), int)})}, ["road", "car"])
      >>> source.frame_names("a"), sorted(source.label_names("a"))
      (('000000', '000001', '000002'), ['000001'])
    """

    name = "arrays"

    def __init__(self, clips: Mapping[str, tuple[Frames, Labels]], classes: Classes):
        """Checks everything that is in memory.

        Args:
          clips: by the name of a sequence its frames and its labels. Frames: uint8 RGB
            ``[n, h, w, 3]``, or a sequence of uint8 ``[h, w, 3]``, which may read a frame when it
            is asked for one (it is then checked when it comes). Labels: by index of a frame,
            ids of the classes, any integer type, ``[h, w]``.
          classes: see ``class_map``; None for clips without labels.

        Raises:
          UserError: frames or labels of another type, shape or size, an index or an id that does
            not exist.
        """
        self.classes: ClassMap = NO_CLASSES if classes is None else class_map(classes)
        self._clips: dict[str, Frames] = {}
        frames, labels = {}, {}
        for sequence, (pictures, given) in clips.items():
            clip = self._clips[sequence] = check_frames(pictures)
            names = [f"{i:06d}" for i in range(len(clip))]
            frames[sequence] = {name: i for i, name in enumerate(names)}
            size = clip[0].shape[:2]
            indices = check_labels(given, len(clip), (size[0], size[1]), self.classes)
            labels[sequence] = {names[i]: label for i, label in sorted(indices.items())}
        self._frames, self._labels = frames, labels

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """One frame, RGB, 0 … 255."""
        return self._clips[sequence][self._frames[sequence][name]]

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """One label, as class indices."""
        return self._labels[sequence][name]


def check_frames(frames: Frames) -> Frames:
    """Refuses what is no clip of uint8 RGB frames of one size.

    Args:
      frames: see ``ArraySource``.

    Returns:
      The frames: an array, a list of arrays, or a sequence that checks a frame when it reads it.

    Raises:
      UserError: with the type and the shape, and what to do about it.
    """
    if isinstance(frames, str | bytes | Mapping) or not (
        hasattr(frames, "__len__") and hasattr(frames, "__getitem__")
    ):
        raise UserError(
            f"frames is of type {type(frames).__name__}: give uint8 RGB [n, h, w, 3] or a list of "
            "frames [h, w, 3]."
        )
    if not len(frames):
        raise UserError("frames is empty: give at least two frames.")
    if isinstance(frames, list | tuple):
        clip = [np.asarray(frame) for frame in frames]
        for i, frame in enumerate(clip):
            _check_frame(frame, i, clip[0].shape)
        return clip
    if hasattr(frames, "__array__"):
        array = np.asarray(frames)
        fault = _fault_of_clip(array)
        if fault:
            raise UserError(f"frames are {_describe(array)}: {fault}.")
        return array
    return _ReadFrames(frames)


class _ReadFrames(Sequence):
    """Frames of a sequence that may read them from somewhere, checked one by one."""

    def __init__(self, frames: Any):
        self._frames = frames
        self._shape = np.asarray(frames[0]).shape

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, place):  # type: ignore[override]
        frame = np.asarray(self._frames[place])
        _check_frame(frame, place, self._shape)
        return frame


def _check_frame(frame: np.ndarray, place: int, shape: tuple[int, ...]) -> None:
    fault = _fault_of_clip(frame[None])
    if fault:
        raise UserError(f"frame {place} is {_describe(frame)}: {fault}.")
    if frame.shape != shape:
        raise UserError(
            f"frame {place} is {_describe(frame)} and frame 0 is {_describe_shape(shape)}: all "
            "frames of a clip must have one size."
        )


def _fault_of_clip(frames: np.ndarray) -> str:
    """What is wrong with uint8 RGB ``[n, h, w, 3]``, and what to do; empty if nothing is."""
    form = "give uint8 RGB [n, h, w, 3]"
    if frames.ndim == 3 and frames.shape[-1] == 3:
        return f"that is one picture; {form}"
    if frames.ndim == 3:
        return f"grey pictures have no colour axis; {form} (np.stack([frames] * 3, axis=-1))"
    if frames.ndim != 4 or 0 in frames.shape:
        return form
    if frames.shape[-1] != 3:
        if frames.shape[1] == 3:
            return "the colours must come last (frames.transpose(0, 2, 3, 1))"
        if frames.shape[-1] == 4:
            return "the fourth channel must go (frames[..., :3])"
        return form
    if frames.dtype != np.uint8:
        if np.issubdtype(frames.dtype, np.floating):
            scale = " * 255" if float(frames.max()) <= 1.0 else ""
            return f"{form}, 0 … 255 (np.rint(frames{scale}).astype(np.uint8))"
        return f"{form}, 0 … 255 (frames.astype(np.uint8), if no number is larger)"
    return ""


def check_labels(
    labels: Labels, count: int, size: tuple[int, int], classes: ClassMap
) -> dict[int, Int32[np.ndarray, "h w"]]:
    """Turns labels with the user's ids into class indices.

    Args:
      labels: by index of a frame, ids ``[h, w]`` of any integer type.
      count: of the frames.
      size: their height and width.
      classes: whose ids may occur.

    Returns:
      Class indices by index of a frame.

    Raises:
      UserError: with the index of the frame, what is wrong and what to do.
    """
    if not isinstance(labels, Mapping):
        raise UserError(
            f"labels is of type {type(labels).__name__}: give {{index of a frame: label}}, for "
            "instance {0: label}."
        )
    found = {}
    for key, label in labels.items():
        try:
            index = operator.index(key)
        except TypeError:
            raise UserError(
                f"labels has the key {key!r}: give the index of a frame, 0 to {count - 1}."
            ) from None
        if isinstance(key, bool) or not 0 <= index < count:
            raise UserError(f"labels has frame {key}: there are {count} frames, 0 to {count - 1}.")
        found[index] = _indices(np.asarray(label), f"labels[{index}]", size, classes)
    return found


def _indices(
    label: np.ndarray, where: str, size: tuple[int, int], classes: ClassMap
) -> Int32[np.ndarray, "h w"]:
    if label.shape != size:
        hint = ""
        if label.ndim == 3 and label.shape[-1] == 1:
            hint = f"; drop the last axis ({where}[..., 0])"
        elif label.ndim == 3 and label.shape[-1] == classes.num_classes:
            hint = f"; give ids, not a channel per class ({where}.argmax(-1))"
        elif label.shape == size[::-1]:
            hint = f"; rows come first ({where}.T)"
        raise UserError(
            f"{where} is {_describe(label)} and the frames are {_describe_shape(size)}: a label "
            f"has one id per pixel of its frame{hint}."
        )
    if not np.issubdtype(label.dtype, np.integer):
        raise UserError(
            f"{where} is {_describe(label)}: give ids of the classes as integers "
            f"({where}.astype(np.uint8))."
        )
    outside = ~np.isin(label, classes.ids)
    if outside.any():
        y, x = (int(v) for v in np.argwhere(outside)[0])
        wrong, total = np.unique(label[outside]), int(outside.sum())
        listed = ", ".join(map(str, wrong[:8].tolist())) + (", …" if len(wrong) > 8 else "")
        known = ", ".join(map(str, classes.ids[:8])) + (", …" if len(classes.ids) > 8 else "")
        hint = " ({255: 'void'} if 255 means 'ignore')" if 255 in wrong else ""
        raise UserError(
            f"{where} has {total} pixel{'s' if total > 1 else ''} with ids that are not in classes "
            f"({listed}; the first is {int(label[y, x])} at row {y}, column {x}); classes has "
            f"{known}: add the missing ids to classes{hint} or correct the label."
        )
    return ids_to_indices(label, classes, where)


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype} {_describe_shape(array.shape)}"


def _describe_shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
