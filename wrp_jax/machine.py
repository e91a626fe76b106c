"""Faults of the machine: a full disk, too little memory. How they show, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

from wrp_jax.types import MachineError, OutputError

_DISK = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")} - {None}
# Libraries in C++ (tensorstore, array_record) hand on the words alone.
_DISK_WORDS = re.compile(
    r"ENOSPC|EDQUOT|EFBIG|No space left on device|quota exceeded|File too large", re.IGNORECASE
)
_MEMORY_WORDS = re.compile(r"RESOURCE_EXHAUSTED|out of memory|std::bad_alloc", re.IGNORECASE)
_LONGEST = 160  # characters of what a library says


def machine_error(error: BaseException, what: str = "") -> MachineError | None:
    """The fault of the machine that an exception tells of, or None if it tells of none.

    Args:
      error: as raised; its causes are looked at too.
      what: could not be done, to begin the sentence with, e.g. ``step 20 cannot be saved``.
    """
    found = list(_chain(error))
    begin = f"{what}: " if what else ""
    told = next((one for one in found if isinstance(one, MachineError)), None)
    if told is not None:
        return told
    for one in found:
        full = isinstance(one, OSError) and one.errno in _DISK
        if full or (not isinstance(one, MemoryError) and _DISK_WORDS.search(str(one))):
            return MachineError(
                f"{begin}the disk takes no more ({_short(one)}): free some space, and run the "
                "same command again, which goes on from what is there."
            )
    for one in found:
        memory = isinstance(one, OSError) and one.errno == errno.ENOMEM
        if memory or isinstance(one, MemoryError) or _MEMORY_WORDS.search(str(one)):
            return MachineError(
                f"{begin}there is too little memory ({_short(one)}): end other programs, or ask "
                "for less (batch_size, crop, max_pixels, window of --config.segmentation, "
                "batch_size of the other stages, smaller frames), and run again."
            )
    return None


def cannot_write(path: Path | str, error: OSError) -> OutputError | MachineError:
    """What to raise where a file or folder cannot be written: whose fault it is."""
    what = f"{path} cannot be written"
    return machine_error(error, what) or OutputError(f"{what}: {error.strerror or error}.")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what it was raised from, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _short(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    if isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {text}"
    disk = _DISK_WORDS.search(text)
    if disk and len(text) > _LONGEST:
        return disk.group()
    first = text.splitlines()[0]
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]} ..."
