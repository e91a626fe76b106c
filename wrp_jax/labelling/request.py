"""What is to be labelled, and where the labels go. Free of JAX: commands build it at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from wrp_jax.files.shards import WHOLE, Shard

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run is asked for; see the flags of ``wrp propagate``.

    Attributes:
      choose_tau: whether τ is chosen by labels that are left out, see ``labelling.thresholds``.
      shard: of the windows, the part of this process.
    """

    data: str
    output: Path
    method: str = ALL
    windows: str | None = None
    keyframes: str | None = None
    horizon: int | None = None
    limit: int | None = None
    dry_run: bool = False
    min_quality: float | None = None
    choose_tau: bool = False
    shard: Shard = WHOLE
