"""Compiled programs are kept between runs: compiling is most of what a short run does."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from pathlib import Path

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def keep_compiled_programs() -> None:
    """Has JAX keep what it compiles in ``~/.cache/wrp_jax``, and find it there the next time.

    ``JAX_COMPILATION_CACHE_DIR`` names another folder; ``JAX_ENABLE_COMPILATION_CACHE=false`` keeps
    nothing. To be called before JAX is imported. Where the folder cannot be made nothing is kept.
    """
    if _FOLDER in os.environ or "jax" in sys.modules:
        return
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    folder = Path(home).expanduser() / "wrp_jax" / f"compiled-{_processor()}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[_FOLDER] = str(folder)
        os.environ.setdefault(_SECONDS, "0.2")  # JAX's own second leaves most of a CPU's out


def _processor() -> str:
    """Of machines that share a home folder each kind has its own programs: a CPU ends at the
    first instruction that it does not know.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        known = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"
