"""What a finished window leaves behind for the scores and the report: one small file.

It is written after the window's labels, so that its presence says that the window is done.
"""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.npz import NpzFile
from wrp_jax.files.strict_json import parse_json
from wrp_jax.types import UserError

_HEADER = "header"
_MAX_BYTES = 2**28  # unpacked; small pictures and counts take a hundredth of that


@dataclasses.dataclass
class WindowResult:
    """Scores and pictures of one window.

    Attributes:
      fingerprint: of what the window was made from; another one means that it must be redone.
      confidence: mean over the picture, 0 … 1, by name of the frames written from this window.
      matrices: of ``evaluation.Evaluator``.
      reliability: by method ``sums`` of ``evaluation.reliability``; empty without true labels.
      flips: by method ``sums`` of ``evaluation.flips``; empty where no method moves labels.
      pictures: at the size of the report: ``labels/METHOD`` and ``confidence``, uint8
        ``[n, h, w]``; empty for windows that the report does not show.
    """

    fingerprint: str
    confidence: dict[str, float] = dataclasses.field(default_factory=dict)
    matrices: dict[tuple[str, int], np.ndarray] = dataclasses.field(default_factory=dict)
    reliability: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    flips: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    pictures: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the file, complete or not at all."""
        keys = list(self.matrices)
        header: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "confidence": self.confidence,
            "matrices": keys,
            "reliability": list(self.reliability),
            "flips": list(self.flips),
            "pictures": list(self.pictures),
        }
        arrays = {f"matrix{i}": self.matrices[key] for i, key in enumerate(keys)}
        arrays |= {f"reliability{i}": sums for i, sums in enumerate(self.reliability.values())}
        arrays |= {f"flips{i}": sums for i, sums in enumerate(self.flips.values())}
        arrays |= {f"picture{i}": p for i, p in enumerate(self.pictures.values())}
        arrays[_HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(path, buffer.getvalue())


def load_window_result(path: Path, fingerprint: str) -> WindowResult | None:
    """Reads a window's file; None if it is absent, damaged or made from something else."""
    try:
        with NpzFile(path, limit=_MAX_BYTES) as file:
            arrays = {name: file.read(name) for name in file.names}  # checks every CRC
        header = parse_json(arrays[_HEADER].tobytes())
        if header["fingerprint"] != fingerprint:
            return None
        return WindowResult(
            fingerprint=fingerprint,
            confidence=header["confidence"],
            matrices={
                (name, distance): arrays[f"matrix{i}"]
                for i, (name, distance) in enumerate(header["matrices"])
            },
            reliability={
                name: arrays[f"reliability{i}"] for i, name in enumerate(header["reliability"])
            },
            flips={name: arrays[f"flips{i}"] for i, name in enumerate(header.get("flips", []))},
            pictures={name: arrays[f"picture{i}"] for i, name in enumerate(header["pictures"])},
        )
    except (UserError, ValueError, KeyError, TypeError):
        return None
