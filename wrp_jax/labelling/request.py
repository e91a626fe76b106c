"""What is to be labelled, and where the labels go. Free of JAX: commands build it at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run is asked for; see the flags of ``wrp propagate``."""

    data: str
    output: Path
    method: str = ALL
    windows: str | None = None
    keyframes: str | None = None
    horizon: int | None = None
    limit: int | None = None
    dry_run: bool = False
