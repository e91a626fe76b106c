"""Writes what an annotation tool has exported as a folder to train on.

  wrp import SRC D
  wrp import project.json D --frames=FRAMES --classes=classes.json
  wrp import clip.mp4 D
  wrp import clip.mp4 D --label=000010.png --label=10:some.png

SRC is a folder, a zip or a file of CVAT (segmentation masks, CVAT for images), PASCAL VOC, COCO
(panoptic, instances, stuff), Label Studio, Cityscapes, DAVIS, a folder of frames, or a video (which
needs PyAV: pip install -e ".[video]"). Which of them is found out by its content. Frames without
labels are kept as video; a video, or a folder of its frames, takes labels by --label. Frames are
linked, or written where they come out of a zip or a video; the same command again writes what has
changed in SRC.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line

POSITIONAL = ("source", "output")


def define_flags() -> None:
    """Defines the flags."""
    flags.DEFINE_string("source", None, "The export; or the first argument.")
    flags.DEFINE_string("output", None, "The folder to write; or the second argument.")
    flags.DEFINE_string("frames", None, "Folder or zip of frames, where SRC has labels alone.")
    flags.DEFINE_string(
        "classes", None, "classes.json whose ids the labels get, by the names of the classes."
    )
    flags.DEFINE_bool("partial", False, "Of a broken video take the frames before the break.")
    command_line.define_label()
    flags.DEFINE_list("void", [], "Classes of SRC that stand for pixels nobody can name.")


def main() -> None:
    """Reads the flags and imports."""
    from wrp_jax.data.tool_formats.import_project import import_project

    command_line.require(*POSITIONAL)
    options = flags.FLAGS
    print(
        import_project(
            Path(options.source),
            Path(options.output),
            frames=Path(options.frames) if options.frames else None,
            classes=Path(options.classes) if options.classes else None,
            void=options.void,
            partial=options.partial,
            labels=options.label,
        )
    )
