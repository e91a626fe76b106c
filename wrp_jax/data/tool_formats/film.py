"""Video files, decoded to frames that are named by their place in the order of decoding.

Read by PyAV (the extra ``video``). The file is decoded twice: once to find out whether it is whole,
before anything is written, and once to write. Frames are turned as the file says and kept as they
come, also where their rate varies: ``times.csv`` holds the time of each. Phones write the rotation,
and cameras a first time that is not zero; neither changes names.

Reference: PyAV's documentation, ``av.container.InputContainer.decode``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from wrp_jax import interrupts
from wrp_jax.data import images
from wrp_jax.data.label_maps import NO_CLASSES
from wrp_jax.data.public_sets.public_set import Picture, Pixels, PublicSet
from wrp_jax.files.regular import open_regular
from wrp_jax.types import UserError

TIMES_FILE = "times.csv"
_SPARE_FRAMES = 2  # that a header may count and a decoder not give
_SPARE_SECONDS = 1.0


class Film:
    """A video file whose frames have been counted.

    Attributes:
      times: of the frames, in seconds; None where the file gives none.
      size: height and width of the frames, turned as the file says.
      fault: why the frames end before the file does; empty where they do not.
      announced: frames that the file says it has; 0 where it does not say.
      seconds: that the file says it lasts; 0 where it does not say.
    """

    def __init__(self, path: Path, *, partial: bool, most: int | None = None):
        """Decodes the file once.

        Args:
          path: the file.
          partial: whether to take the frames before a break.
          most: frames to decode; all if absent.

        Raises:
          UserError: PyAV is not installed, the file is no video, has no frames, or is broken or
            cut off: the frame and time that were reached.
        """
        self._path = path
        self.times: list[float | None] = []
        self.size = (0, 0)
        self._decoded: Iterator[Any] | None = None
        self._next = 0
        self.fault, self.announced, self.seconds = "", 0, 0.0
        av = _library(path)
        try:
            with open_regular(path) as file, contextlib.closing(av.open(file)) as container:
                if not container.streams.video:
                    raise UserError(f"{path} holds no pictures, only sound: give a video.")
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                if stream.width * stream.height > images.MAX_PIXELS:
                    raise UserError(f"{path} has frames of {stream.width}x{stream.height}.")
                self.announced = stream.frames
                self.seconds = (container.duration or 0) / av.time_base
                try:
                    for frame in container.decode(stream):
                        interrupts.check()
                        if frame.is_corrupt:
                            self.fault = "a frame is damaged"
                            break
                        if not self.times:
                            size = (frame.height, frame.width)
                            self.size = size[:: -1 if _turns(frame) % 2 else 1]
                        self.times.append(frame.time)
                        if len(self.times) == most:
                            break
                except av.error.FFmpegError as error:
                    self.fault = error.strerror or str(error)
        except av.error.FFmpegError as error:
            raise UserError(
                f"{path} cannot be read as a video ({error.strerror or error}): copy it again."
            ) from error
        if len(self.times) != most:
            self.fault = self.fault or self._cut()
        if not self.times:
            why = f" ({self.fault})" if self.fault else ""
            raise UserError(f"{path} has no frames{why}: copy it again.")
        if self.fault and not partial:
            raise UserError(
                f"{path} {self.broken}: copy it again, or give --partial to take the frames until "
                "there."
            )

    @property
    def broken(self) -> str:
        """That the file is broken, why, and the frame and time that were reached."""
        time = self.times[-1]
        at = "" if time is None else f" at {time:.2f} s"
        return f"is broken or cut off ({self.fault}) after frame {len(self.times) - 1}{at}"

    def _cut(self) -> str:
        """Why the frames are fewer than the file announces; empty if they are not."""
        if self.announced and len(self.times) < self.announced - _SPARE_FRAMES:
            return f"{len(self.times)} of {self.announced} frames"
        last = self.times[-1] if self.times else None
        if not self.announced and last is not None and last < 0.95 * self.seconds - _SPARE_SECONDS:
            return f"{last:.2f} of {self.seconds:.2f} s"
        return ""

    def set_of_frames(self, sequence: str) -> PublicSet:
        """The frames as pictures of one sequence, to be written in order."""
        digits = max(6, len(str(len(self.times))))
        pictures = tuple(
            Picture(
                sequence,
                f"{place:0{digits}d}",
                Pixels(
                    str(self._path),
                    self._path,
                    functools.partial(self._frame, place),
                    size=self.size,
                ),
            )
            for place in range(len(self.times))
        )
        return PublicSet(NO_CLASSES, {}, pictures, {})

    def times_file(self) -> bytes:
        """A line for each frame: its number and its time in seconds."""
        rows = (
            f"{place},{'' if time is None else f'{time:.6f}'}\n"
            for place, time in enumerate(self.times)
        )
        return ("frame,seconds\n" + "".join(rows)).encode()

    def _frame(self, place: int) -> UInt8[np.ndarray, "h w 3"]:
        if self._decoded is None or place < self._next:
            self._decoded, self._next = _decode(self._path), 0
        for frame in self._decoded:
            self._next += 1
            if self._next > place:
                pixels = frame.to_ndarray(format="rgb24")
                return np.ascontiguousarray(np.rot90(pixels, _turns(frame)))
        raise UserError(f"{self._path} was changed while it was read: import it again.")


def _turns(frame: Any) -> int:
    """Quarters of a turn against the clock by which a frame is to be turned."""
    return round((frame.rotation or 0) / 90)


def _decode(path: Path) -> Iterator[Any]:
    av = _library(path)
    with open_regular(path) as file, contextlib.closing(av.open(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from container.decode(stream)


def _library(path: Path) -> types.ModuleType:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UserError(
            f'{path} is a video, which PyAV reads: pip install -e ".[video]" in the folder '
            "of wrp_jax, or save its frames as pictures."
        ) from error
