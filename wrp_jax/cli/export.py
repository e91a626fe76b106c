"""Writes labels and their frames as a project that an annotation tool or a trainer opens.

  wrp export OUT DEST --to=cvat --data=D
  wrp export OUT DEST.zip --to=coco-panoptic --data=D --min_confidence=0.8 --frames=LIST
  wrp export OUT DEST --to=cvat --data=D --frames=OUT/next_frames.csv
  wrp export OUT DEST --to=fiftyone --data=D --below=70
  wrp export D DEST --to=label-studio --unlabelled

OUT is what 'wrp propagate' wrote, which needs --data unless OUT/imported holds the video; D is a
folder of frames and labels. DEST is a folder or ends in .zip. 'wrp import' reads it back with the
same classes and labels. Frames without a label are left out; --unlabelled exports them as well, as
frames that nobody has annotated yet, so that DEST holds the whole video.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line

POSITIONAL = ("labels", "output")


def define_flags() -> None:
    """Defines the flags."""
    from wrp_jax.exchange.export_project import FORMATS

    flags.DEFINE_string("labels", None, "OUT or D; or the first argument.")
    flags.DEFINE_string("output", None, "DEST; or the second argument.")
    flags.DEFINE_enum("to", None, sorted(FORMATS), "Which tool or format it is for.")
    flags.DEFINE_string("data", None, "The video of OUT, where OUT/imported does not hold it.")
    flags.DEFINE_float(
        "min_confidence", 0.0, "Pixels of OUT below it are void, or without a class: 0 to 1."
    )
    flags.DEFINE_string(
        "frames", None, "List of '<sequence> <frame>', or next_frames.csv: these alone."
    )
    flags.DEFINE_float(
        "below", None, "Of these the frames alone with a lower mIoU in OUT/quality.csv, in %."
    )
    flags.DEFINE_boolean("unlabelled", False, "Frames without a label, too.")


def main() -> None:
    """Reads the flags and exports."""
    from wrp_jax.exchange.export_project import export_project

    command_line.require(*POSITIONAL, "to")
    options = flags.FLAGS
    print(
        export_project(
            Path(options.labels),
            Path(options.output),
            options.to,
            data=options.data,
            min_confidence=options.min_confidence,
            frames=Path(options.frames) if options.frames else None,
            below=options.below,
            unlabelled=options.unlabelled,
        )
    )
