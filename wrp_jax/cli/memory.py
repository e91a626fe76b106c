"""Keeps what the allocator holds from growing with the number of threads that have been."""

from __future__ import annotations

import ctypes
import os
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_ARENAS = 2


def keep_memory_together() -> None:
    """Lets all threads share two arenas, where the C library is glibc; elsewhere does nothing.

    It gives threads arenas of their own, up to eight per core, and each keeps what its largest
    moment took: without this a run of many windows takes twice the memory of one of a single
    window. ``MALLOC_ARENA_MAX`` asks for another number.

    Reference: mallopt(3).
    """
    if not sys.platform.startswith("linux") or "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
    except (OSError, AttributeError):  # another C library
        return
