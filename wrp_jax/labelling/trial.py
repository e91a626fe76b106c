"""What a run will need, measured: a small part of its work is done into a temporary folder."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax import interrupts
from wrp_jax.data.source import VideoSource
from wrp_jax.progress import duration, waiting
from wrp_jax.types import ClassMap, UserError

try:
    import resource
except ImportError:  # Windows
    resource: Any = None


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a small part of the work took.

    Attributes:
      what: was done, for the reader.
      parts: how many of the run's parts (frames, files) that were.
      starting: seconds that the first time took beyond a second one: programs are compiled then.
      seconds: that the second time took.
      size: bytes that were written.
      memory: peak resident memory of the process from its start on, bytes; None where the system
        does not tell.
      on_device: peak of what one accelerator held, bytes; None where it has no memory of its own.
    """

    what: str
    parts: int
    starting: float
    seconds: float
    size: int
    memory: int | None
    on_device: int | None

    def time(self, parts: int, unit: str) -> str:
        """How long so many parts take."""
        each = self.seconds / self.parts
        return (
            f"about {duration(self.starting + each * parts)}: {duration(self.starting)} of "
            f"compiling and {duration(each)} per {unit}, as {self.what} took"
        )

    def peak(self) -> str:
        """How much memory a run takes."""
        if self.memory is None:
            return "not known on this system"
        device = f", and {in_bytes(self.on_device)} on each device" if self.on_device else ""
        return (
            f"about {in_bytes(self.memory)}{device}, the peak of {self.what}; it does not grow "
            "with the length of a video"
        )


def trial_frames() -> int:
    """Frames of a trial: the groups in which they are read are filled twice, and begun again."""
    return 8 * jax.local_device_count() + 1


def try_out(what: str, parts: int, work: Callable[[Path], object]) -> Trial | UserError:
    """Does a small part of a run's work twice; what it writes goes again.

    Args:
      what: is done, to begin a sentence with ``the peak of``.
      parts: how many of the run's parts that are.
      work: does it, into the folder that it is given.

    Returns:
      What it took, or why it could not be done.
    """
    seconds, peaks = [], []
    with tempfile.TemporaryDirectory(prefix="wrp-dry-run-") as folder:
        for turn in ("first", "second"):
            interrupts.check()
            start = time.monotonic()
            try:
                with waiting(f"measuring what {what} take", alone=True):
                    work(Path(folder) / turn)
            except UserError as error:
                return error
            seconds.append(time.monotonic() - start)
            peaks.append(_peak())
        files = [path for path in (Path(folder) / "second").rglob("*") if path.is_file()]
        size = sum(os.stat(path).st_size for path in files)
    # The second time begins with what the first has left in memory, which a run does not.
    starting = max(seconds[0] - seconds[1], 0.0)
    return Trial(what, parts, starting, seconds[1], size, peaks[0], _peak_on_device())


@dataclasses.dataclass(frozen=True)
class PartOfSource:
    """A ``VideoSource`` of some frames of one sequence of another, without labels.

    Attributes:
      source: the other.
      sequence: which sequence.
      names: which of its frames.
    """

    source: VideoSource
    sequence: str
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """As of the whole."""
        return self.source.name

    @property
    def classes(self) -> ClassMap:
        """As of the whole."""
        return self.source.classes

    @property
    def sequences(self) -> tuple[str, ...]:
        """The one."""
        return (self.sequence,)

    def frame_names(self, sequence: str) -> tuple[str, ...]:
        """The frames of this part."""
        del sequence
        return self.names

    def frame(self, sequence: str, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """One frame, RGB, 0 … 255."""
        return self.source.frame(sequence, name)

    def label_names(self, sequence: str) -> frozenset[str]:
        """None."""
        del sequence
        return frozenset()

    def label(self, sequence: str, name: str) -> Int32[np.ndarray, "h w"]:
        """There is none: KeyError."""
        raise KeyError(f"this part of {self.name} has no labels")


def in_bytes(count: int | float) -> str:
    """A number of bytes in a unit that suits it."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _peak() -> int | None:
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _peak_on_device() -> int | None:
    found = [device.memory_stats() or {} for device in jax.local_devices()]
    return max((stats.get("peak_bytes_in_use", 0) for stats in found), default=0) or None
