"""Values that cross package boundaries. NHWC; time leads inside a scan: ``[T, B, H, W, C]``.

Symbols (paper, section 3): ``I_k`` image at step k, ``L_k`` label, ``f_θ`` motion, ``g_ψ``
segmentation, ``Ω_λ`` refiner, ``φ_{k-1,k}`` the map that moves frame k-1 onto frame k.
A backward flow lives on the target frame: ``flow[y, x] = (dx, dy)`` in pixels, and pixel
``(x, y)`` of frame k shows what stood at ``(x + dx, y + dy)`` in frame k-1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8

UNLABELLED = 255
"""Id written where a method says nothing and the class map has no void class."""
KEPT = -1
"""Class index of pixels that a partial label leaves as they are."""


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """The classes of a data set.

    Inside the program a label is the *index* of its class (0 … num_classes-1); files hold
    ``ids``. The two differ for, say, Cityscapes trainIds with void = 255.

    Attributes:
      ids: value in label files, per class; unique, 0 … 255.
      names: per class.
      colors: uint8 ``[num_classes, 3]``, RGB.
      void: per class, whether it is a void/ignore class: carried like a class and scored in
        a column of its own.
      keep: id of pixels that a partial label leaves as they are; None where there is none. It is
        read alone: nothing that is written has it.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    colors: np.ndarray
    void: tuple[bool, ...]
    keep: int | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes, void included."""
        return len(self.ids)

    @property
    def void_index(self) -> int | None:
        """Index of the first void class, or None."""
        return self.void.index(True) if any(self.void) else None


@dataclasses.dataclass(frozen=True)
class Window:
    """One labelled frame and the frames around it that are to be labelled, or two and the frames
    between them.

    Attributes:
      sequence: name of the sequence.
      key: frame name of the labelled frame.
      first, last: frame names of the ends, both included; ``first <= key <= last`` in the
        order of the sequence.
      other: frame name of a second labelled frame, which is the last frame; ``key`` is the first
        one then.
      horizon: of two, or with further ones: frames further than this from all are not labelled,
        and the label of each travels twice as far at most.
      further: frame names of labelled frames before ``first`` and after ``last`` that have a say,
        too, in order.
    """

    sequence: str
    key: str
    first: str
    last: str
    other: str | None = None
    horizon: int = 0
    further: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells it from others, as values that JSON knows."""
        values = dataclasses.astuple(self)
        return values if self.further else values[:-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """Frame names of its own labelled frames, in order."""
        return (self.key,) if self.other is None else (self.key, self.other)

    @property
    def reach(self) -> int | None:
        """How many frames labels travel at most where several labelled frames have a say."""
        return 2 * self.horizon if self.other is not None or self.further else None


class ClipCues(NamedTuple):
    """What f_θ and g_ψ say about a clip of N consecutive frames; labels play no part.

    Arrays of the host or of the device.

    Attributes:
      frames: RGB, as they were read; what needs them in 0 … 1 scales them when compiled.
      flow_backward: entry i lives on frame i+1 and points into frame i.
      flow_forward: entry i lives on frame i and points into frame i+1.
      probs: softmax of g_ψ at full resolution, void column included.
      features: OCR features of g_ψ at its own stride.
    """

    frames: UInt8[Any, "n h w 3"]
    flow_backward: Float[Any, "n-1 h w 2"]
    flow_forward: Float[Any, "n-1 h w 2"]
    probs: Float[Any, "n h w c"]
    features: Float[Any, "n fh fw f"]


class Cues(NamedTuple):
    """Cues along chains of T steps, B chains at once: what one scan runs over.

    Step t moves labels from frame ``order[t]`` to frame ``order[t+1]`` of the clip; the cues
    of step t live on the target frame. Forward, backward and cyclic chains (eq. 9-12) differ
    in their order alone.

    Attributes:
      image: target image, RGB, 0 … 1.
      flow: backward flow, target → source frame, ``(dx, dy)`` in pixels.
      valid: 1 where the flow is finite and its source lies inside the picture, else 0.
      photometric: ``‖I_k − φ(I_{k−1})‖₂`` over RGB, 0 … √3 (eq. 6).
      consistency: forward-backward error in pixels.
      probs: softmax of g_ψ on the target image.
      features: OCR features of g_ψ on the target image.
      active: 1 while the chain runs, 0 for padded steps at its end (state stands still).
      direct: flow from the target frame straight into the labelled one; None where no carrier asks.
    """

    image: Float[Any, "t b h w 3"]
    flow: Float[Any, "t b h w 2"]
    valid: Float[Any, "t b h w"]
    photometric: Float[Any, "t b h w"]
    consistency: Float[Any, "t b h w"]
    probs: Float[Any, "t b h w c"]
    features: Float[Any, "t b fh fw f"]
    active: Float[Any, "t b"]
    direct: Float[Any, "t b h w 2"] | None = None


class SegmentationOutput(NamedTuple):
    """What every segmentation network returns.

    Attributes:
      logits: at the network's output stride.
      features: OCR features, which the refiner reads.
      aux_logits: auxiliary head, or None.
      attention: how far the smallest scale is trusted over the finer ones, 0 … 1, or None.
      scale_logits: of the single scales, the smallest first, where a network sees several; for
        the supervision of single scales in training.
    """

    logits: Float[Any, "b lh lw c"]
    features: Float[Any, "b fh fw f"]
    aux_logits: Float[Any, "b ah aw c"] | None = None
    attention: Float[Any, "b lh lw 1"] | None = None
    scale_logits: tuple[Float[Any, "b lh lw c"], ...] = ()


class UserError(ValueError):
    """A user's mistake: one sentence that names the file, what is wrong and what to do.

    ``train.py`` and ``propagate.py`` print it without a traceback and exit with code 2.

    Attributes:
      frame: name of the frame whose file cannot be read, where that is known.
    """

    frame: str | None = None


class OutputError(UserError):
    """A result cannot be written where, or in the form, that was asked for.

    No input is at fault: a run that goes on without a damaged input ends here.
    """


Positions = Sequence[int] | np.ndarray
"""Positions of frames in a clip, counted from 0."""


class Clip(NamedTuple):
    """Consecutive frames of one video, and which they are.

    Networks and algorithms see the frames; what was computed elsewhere is found by their names.

    Attributes:
      count: number of frames.
      frame: reads one, RGB; they need not all be in memory.
      sequence: their sequence in the source of the video; empty for frames of no video.
      names: their names there, as many as frames; empty for frames of no video.
    """

    count: int
    frame: Callable[[int], UInt8[np.ndarray, "h w 3"]]
    sequence: str = ""
    names: tuple[str, ...] = ()

    def stack(self, positions: Positions) -> UInt8[np.ndarray, "n h w 3"]:
        """The frames at some positions, in their order; a frame may come up more than once."""
        if not len(positions):
            return np.zeros((0, *self.frame(0).shape), np.uint8)
        return np.stack([self.frame(int(position)) for position in positions])


def clip_of(
    frames: UInt8[np.ndarray, "n h w 3"], sequence: str = "", names: tuple[str, ...] = ()
) -> Clip:
    """A clip whose frames are in memory."""
    return Clip(len(frames), lambda position: frames[position], sequence, names)


@runtime_checkable
class Motion(Protocol):
    """f_θ: flow between frames of a clip. Host arrays."""

    def __call__(
        self,
        clip: Clip,
        targets: Positions,
        sources: Positions,
        initial: Float[np.ndarray, "n h w 2"] | None = None,
    ) -> Float[np.ndarray, "n h w 2"]:
        """Backward flow of n pairs.

        Args:
          clip: the frames; a motion may look at others than those of a pair.
          targets: positions of the frames that the flows live on.
          sources: positions of the frames that they point into.
          initial: a first guess of the flow, which a motion is free to ignore.

        Returns:
          float32, on the targets, ``(dx, dy)`` in pixels; a void vector is NaN.
        """
        ...


@runtime_checkable
class Segment(Protocol):
    """g_ψ: class probabilities of frames of a clip."""

    def __call__(self, clip: Clip, positions: Positions) -> tuple[Any, Any]:
        """Softmax at full resolution ``[n, h, w, c]``, and features ``[n, fh, fw, f]``.

        Args:
          clip: the frames.
          positions: those that are asked about.
        """
        ...


@runtime_checkable
class Imitable(Protocol):
    """A ``Segment`` that knows the frames of a video alone, but can say how it would err."""

    def imitate(
        self, rng: np.random.Generator, labels: Int[np.ndarray, "n h w"]
    ) -> tuple[Any, Any]:
        """What it would say of frames of no video, such as simulated ones.

        Args:
          rng: source of the mistakes.
          labels: the truth, class indices; -1 where unknown.
        """
        ...


class MachineError(Exception):
    """The machine is not up to it: a full disk, too little memory, an output that was removed.

    Nobody's mistake in what was given: one sentence with what to do, and exit code 5. What was
    finished before is kept.
    """


class Interrupted(KeyboardInterrupt):
    """The program was told to stop (SIGTERM, Ctrl-C) and what it has done is saved.

    Python code that expects Ctrl-C catches it as such. It is no ``Exception``: nothing that deals
    with faults of an input may take it for one.
    """
