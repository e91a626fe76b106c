"""What a finished window leaves behind for the scores: one small file.

It is written after the window's labels, so that its presence says that the window is done.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.npz import NpzFile
from wrp_jax.files.strict_json import parse_json
from wrp_jax.labelling.relabelled import WindowLabels
from wrp_jax.types import UserError

_HEADER = "header"
_BY_NAME = ("reliability", "flips", "evidence", "left_out", "left_out_matrices", "frame_iou")
_MAX_BYTES = 2**28  # unpacked; counts take a hundredth of that


@dataclasses.dataclass
class WindowResult:
    """Scores of one window.

    Attributes:
      fingerprint: of what the window was made from; another one means that it must be redone.
      made_from: the labels among that.
      code: digest of the code that made it, see ``files.code_digest``.
      confidence: mean over the picture, 0 … 1, by name of the frames written from this window.
      matrices: of ``evaluation.Evaluator``.
      reliability: by method ``sums`` of ``evaluation.reliability``; empty without true labels.
      flips: by method ``sums`` of ``evaluation.flips``; empty where no method moves labels.
      known: of every class, whether the window's labelled frames have it.
      evidence: by method that moves labels, of ``quality.evidence``, of the frames written from
        this window but the labelled ones, in order.
      left_out: the same of labelled frames as the other labelled one shows them, in order.
      left_out_matrices: of their true and shown labels, see ``evaluation.confusion``.
      frame_iou: of the main method, by name of the scored frames written from this window: IoU of
        every class, 0 … 1, NaN for void and for classes without a true pixel.
    """

    fingerprint: str
    made_from: WindowLabels
    code: str
    confidence: dict[str, float] = dataclasses.field(default_factory=dict)
    matrices: dict[tuple[str, int], np.ndarray] = dataclasses.field(default_factory=dict)
    reliability: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    flips: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    known: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    evidence: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    left_out: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    left_out_matrices: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    frame_iou: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the file, complete or not at all."""
        keys = list(self.matrices)
        header: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "made_from": dataclasses.asdict(self.made_from),
            "code": self.code,
            "confidence": self.confidence,
            "matrices": keys,
        }
        arrays = {f"matrix{i}": self.matrices[key] for i, key in enumerate(keys)}
        arrays["known"] = self.known
        for field in _BY_NAME:
            named: dict[str, np.ndarray] = getattr(self, field)
            header[field] = list(named)
            arrays |= {f"{field}{i}": array for i, array in enumerate(named.values())}
        save_arrays(path, header, arrays)


def load_window_result(path: Path, fingerprint: str) -> WindowResult | None:
    """Reads a window's file; None if it is absent, damaged or made from something else."""
    found = read_arrays(path)
    if found is None:
        return None
    header, arrays = found
    try:
        if header["fingerprint"] != fingerprint:
            return None
        return WindowResult(
            fingerprint=fingerprint,
            made_from=WindowLabels(**header["made_from"]),
            code=header["code"],
            confidence=header["confidence"],
            matrices={
                (name, distance): arrays[f"matrix{i}"]
                for i, (name, distance) in enumerate(header["matrices"])
            },
            known=arrays["known"],
            **{
                # Files of earlier versions lack what was added since.
                field: {name: arrays[f"{field}{i}"] for i, name in enumerate(header.get(field, ()))}
                for field in _BY_NAME
            },
        )
    except (ValueError, KeyError, TypeError):
        return None


def labels_of_window(path: Path) -> WindowLabels | None:
    """The labels that a window was made from, by its file; None if it is absent or damaged."""
    try:
        with NpzFile(path, limit=_MAX_BYTES) as file:
            header = parse_json(file.read(_HEADER).tobytes())
        return WindowLabels(
            str(header["made_from"]["sequence"]), dict(header["made_from"]["digests"])
        )
    except (UserError, ValueError, KeyError, TypeError):
        return None


def save_arrays(path: Path, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes JSON values and arrays into one file, complete or not at all."""
    packed = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **packed)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """What ``save_arrays`` has written; None if it is absent or damaged."""
    try:
        with NpzFile(path, limit=_MAX_BYTES) as file:
            arrays = {name: file.read(name) for name in file.names}  # checks every CRC
        return dict(parse_json(arrays.pop(_HEADER).tobytes())), arrays
    except (UserError, ValueError, KeyError, TypeError):
        return None
