"""Output that never fails a run: a terminal of ASCII alone, a closed pipe, no terminal at all."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any


class _Raw(io.RawIOBase):
    """Writes to a file descriptor; what nobody reads any more goes nowhere."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError:  # the reader has ended (EPIPE), the terminal is gone (EIO), a full disk
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)  # for libraries as well
            os.close(null)
            return len(data)


def keep_output_open() -> None:
    """Makes ``sys.stdout`` and ``sys.stderr`` take everything that is printed.

    Characters that the terminal's encoding lacks are escaped. Where a standard stream is closed,
    its number is given to ``os.devnull``, or the next file that is opened would get it, and with
    it what libraries print. Streams that somebody else has put there are left as they are.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or _is_kept(stream):
            continue
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        raw = _Raw(descriptor)
        kept = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=getattr(stream, "encoding", None) or "utf-8",
            errors="backslashreplace",
            line_buffering=name == "stderr" or raw.isatty(),
        )
        setattr(sys, name, kept)
        setattr(sys, f"__{name}__", kept)


def _is_kept(stream: Any) -> bool:
    return isinstance(getattr(getattr(stream, "buffer", None), "raw", None), _Raw)
