"""Says what a folder is, what is wrong in it, and what this machine has.

  wrp doctor PATH
  wrp doctor PATH --limit=1000

PATH is a folder of frames and labels in any layout, or an export of a tool as a folder or zip. Of
labels it says whether they are palette, RGB, grey or 16-bit, which ids they hold and what these
seem to be (labelIds, trainIds, 0/255 masks), sizes that differ, gaps in time, ids and colours that
classes.json lacks; where there is none, it proposes one. Of a video and of an output of 'wrp
propagate' it says which command takes it, what it holds and whether it is whole. Nothing is
written. The exit code is 1 where a problem is found.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from wrp_jax.cli import command_line

POSITIONAL = ("path",)


def define_flags() -> None:
    """Defines the flags."""
    flags.DEFINE_string("path", None, "What to look at; or the only argument.")
    flags.DEFINE_integer(
        "limit", 200, "Pictures of each folder to open, spread over all.", lower_bound=1
    )


def main() -> int:
    """Reads the flags, looks and says what there is; the exit code says whether all is well."""
    from wrp_jax.data.survey.report import survey

    command_line.require(*POSITIONAL)
    path = Path(flags.FLAGS.path)
    lines, problems = survey(path, flags.FLAGS.limit)
    print("\n".join([*lines, _machine(path)]))
    count = "1 problem" if problems == 1 else f"{problems} problems"
    print(f"{count} found." if problems else "No problem found.")
    return command_line.EXIT_FOUND if problems else 0


def _machine(path: Path) -> str:
    """Versions and free space; nothing is imported for it that takes a while."""
    import importlib.metadata
    import platform
    import shutil

    versions = [f"Python {platform.python_version()}"]
    for name in ("wrp_jax", "jax", "numpy", "pillow", "av"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    folder = path if path.is_dir() else path.parent
    free = shutil.disk_usage(folder.resolve()).free / 1e9
    return f"{', '.join(versions)}; {free:.0f} GB free on the disk of {folder}"
