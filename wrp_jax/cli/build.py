"""Writes a folder of video or a published flow set as a TFDS data set.

  wrp build --data=FOLDER --output=DIR
  wrp build --set=camvid --data=CAMVID --output=DIR
  wrp build --set=sintel_flow --pass=final --data=SINTEL --output=DIR

FOLDER can also be an export of an annotation tool (see 'wrp import'). Prints what to give as --data
to read it, one for each split.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.types import UserError

_PASS = "pass"  # no attribute of FLAGS: it is a word of Python


def define_flags() -> None:
    """Defines the flags."""
    from wrp_jax.data.flow_sets.builders import BUILDERS
    from wrp_jax.data.tfds.build import CLIP_SETS

    flags.DEFINE_enum("set", CLIP_SETS[0], [*CLIP_SETS, *sorted(BUILDERS)], "What it is.")
    flags.DEFINE_string(
        "data", None, "The folder of video, a tool's export, or the set as published."
    )
    flags.DEFINE_string("output", None, "TFDS data directory to write into.")
    flags.DEFINE_string("name", None, "Of a folder's data set; the folder's own if absent.")
    flags.DEFINE_string(
        _PASS, None, "Which rendering: clean or final (Sintel), cleanpass or finalpass (Things)."
    )


def main() -> None:
    """Reads the flags and builds."""
    from wrp_jax.data.flow_sets.build import build_flow_set
    from wrp_jax.data.tfds.build import CLIP_SETS, build_clips
    from wrp_jax.data.tool_formats.import_project import sequence_name
    from wrp_jax.data.tool_formats.imported import imported

    command_line.require("data", "output")
    options = flags.FLAGS
    kind, data, output = options.set, Path(options.data), Path(options.output)
    if options.name and kind != "folder":
        raise UserError(f"--name has no effect: --set={kind} has a name; leave it out.")
    if kind not in CLIP_SETS:
        print(build_flow_set(kind, data, output, options[_PASS].value))
        return
    if options[_PASS].value:
        raise UserError(f"--pass has no effect with --set={kind}; leave it out.")
    if kind != "folder":
        print(build_clips(kind, data, output, options.name))
        return
    # Of an export the import goes again: the data set holds all of it, and is called as it.
    name = sequence_name(data)
    with imported(str(data), output, dry_run=True, name=name, say=print) as found:
        print(build_clips(kind, Path(found), output, options.name))
