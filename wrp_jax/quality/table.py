"""``quality.csv``: a row per frame."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wrp_jax.files.output import RUN_FILE
from wrp_jax.files.regular import read_bytes
from wrp_jax.files.verify import check_as_written
from wrp_jax.types import UserError

QUALITY_FILE = "quality.csv"
COLUMNS = ("sequence", "frame", "distance", "miou", "miou_low", "miou_high", "doubtful", "reason")
"""The columns before those of the classes."""


@dataclasses.dataclass(frozen=True)
class FrameQuality:
    """What is told of a frame; see docs/QUALITY.md.

    Attributes:
      sequence, frame: names.
      distance: frames to the nearest labelled one; 0: it is one.
      miou: estimated mean IoU over the classes that are there, in %; NaN where none is.
      miou_low, miou_high: ends of its 90 % interval, in %.
      doubtful: share of the pixels that are expected to be wrong, in %.
      reason: what lowers the estimate most.
      iou: estimated IoU by name of the class, void left out, in %; NaN where the label does not
        have it.
    """

    sequence: str
    frame: str
    distance: int
    miou: float
    miou_low: float
    miou_high: float
    doubtful: float
    reason: str
    iou: dict[str, float]


def quality_csv(rows: Sequence[FrameQuality], classes: Sequence[str]) -> bytes:
    """The table as a file; figures have two decimals, and what is unknown is empty.

    Args:
      rows: in the order of the file.
      classes: names of the columns of classes, in order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *classes])
    for row in rows:
        told = [_figure(getattr(row, name)) for name in COLUMNS[3:7]]
        writer.writerow(
            [row.sequence, row.frame, row.distance, *told, row.reason]
            + [_figure(row.iou.get(name, math.nan)) for name in classes]
        )
    return text.getvalue().encode()


def as_written(row: FrameQuality) -> FrameQuality:
    """A row with the figures that ``read_quality`` gives back of it.

    What is decided by a row is then the same in the run and for who reads the table.
    """
    told = {name: _rounded(getattr(row, name)) for name in COLUMNS[3:7]}
    iou = {name: _rounded(value) for name, value in row.iou.items()}
    return dataclasses.replace(row, iou=iou, **told)


def read_output_quality(output: Path) -> list[FrameQuality]:
    """The table of an output.

    Raises:
      UserError: it is no output, or one without a table, or somebody has sorted, cut or changed
        the table since it was written.
    """
    path = output / QUALITY_FILE
    if path.exists():
        check_as_written(output, path)
    elif not (output / RUN_FILE).is_file():
        what = "is no output of wrp propagate" if output.is_dir() else "does not exist"
        raise UserError(f"{output} {what}: give the folder that it wrote, its --output.")
    return read_quality(path)


def read_quality(path: Path) -> list[FrameQuality]:
    """Reads the table back.

    Raises:
      UserError: there is none, or it is not what ``quality_csv`` writes.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: wrp propagate writes it for methods that move labels.")
    try:
        lines = list(csv.reader(io.StringIO(read_bytes(path).decode(), newline="")))
        head, rows = (lines[0], lines[1:]) if lines else ([], [])
        if tuple(head[: len(COLUMNS)]) != COLUMNS:
            raise ValueError("other columns")
        read = [_row(row, head) for row in rows]
        if not read:
            raise ValueError("no rows")
        if len({(row.sequence, row.frame) for row in read}) < len(read):
            raise ValueError("a frame has two rows")
        return read
    except (ValueError, IndexError, UnicodeError, csv.Error) as error:
        raise UserError(
            f"{path} is not the table that wrp propagate writes ({error}): run that again."
        ) from error


def _row(row: list[str], head: list[str]) -> FrameQuality:
    if len(row) != len(head):
        raise ValueError(f"a row of {len(row)} columns instead of {len(head)}")
    miou, low, high, doubtful = (_percent(text) if text else math.nan for text in row[3:7])
    pairs = zip(head[len(COLUMNS) :], row[len(COLUMNS) :], strict=True)
    iou = {name: _percent(text) for name, text in pairs if text}
    distance = int(row[2])
    if distance < 0:
        raise ValueError(f"a distance of {distance}")
    return FrameQuality(row[0], row[1], distance, miou, low, high, doubtful, row[7], iou)


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError(f"{text} is no share in %")
    return value


def _rounded(value: float) -> float:
    return float(_figure(value) or math.nan)


def _figure(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"
