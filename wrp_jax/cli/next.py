"""Says which frames to label next: those whose labels would help most.

  wrp next OUT --budget=10

OUT is what wrp propagate wrote, by a method that moves labels. A line per frame, the most useful
first: how many percentage points of mIoU its label is expected to add to the mean over all frames,
and how many with those above it; the mIoU that is expected of the frame now; how many frames the
label would help. OUT/next_frames.csv holds the first ten; --csv prints lines as they stand there.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.quality.next_frames import BUDGET, next_frames, next_frames_csv
from wrp_jax.quality.table import read_output_quality
from wrp_jax.types import UserError

POSITIONAL = ("output",)


def define_flags() -> None:
    """Defines the flags."""
    flags.DEFINE_string("output", None, "OUT; or the only argument.")
    flags.DEFINE_integer("budget", BUDGET, "How many frames.")
    flags.DEFINE_boolean("csv", False, "Print the lines of a CSV file.")


def main() -> None:
    """Reads the flags, chooses and prints."""
    command_line.require("output")
    options = flags.FLAGS
    if options.budget < 1:
        raise UserError(f"--budget={options.budget} must be at least 1.")
    rows = read_output_quality(Path(options.output))
    chosen = next_frames(rows, options.budget)
    if options.csv:
        print(next_frames_csv(chosen).decode(), end="")
        return
    if not chosen:
        if all(row.distance == 0 for row in rows):
            print("No frame is left to label: all of them are labelled by hand.")
        else:
            print("No label is expected to help: of no frame an error is expected.")
        return
    width = max(len(f"{frame.sequence} {frame.frame}") for frame in chosen)
    print(f"{'frame':{width}}    gain   total  mIoU now  helps")
    for frame in chosen:
        name = f"{frame.sequence} {frame.frame}"
        print(
            f"{name:{width}}  {frame.gain:+6.2f}  {frame.total:+6.2f}  {frame.miou:8.1f}  "
            f"{frame.frames:5d}"
        )
