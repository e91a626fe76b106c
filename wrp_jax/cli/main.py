"""The ``wrp`` command: finds the command that is meant, and runs it with its flags."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import keyword
import sys
from collections.abc import Sequence
from pathlib import Path

import wrp_jax
from wrp_jax.cli.terminal import keep_output_open

COMMANDS = (
    "train",
    "propagate",
    "merge",
    "next",
    "view",
    "predict",
    "flow",
    "calibrate",
    "build",
    "doctor",
    "import",
    "export",
    "convert",
    "convert-weights",
)
"""Each is the module of that name in this package: ``define_flags`` and ``main``; and
``POSITIONAL`` where the values of flags may stand alone, in this order."""

_HELP = ("--help", "-h", "help")
_TASKS = (
    ("See it work, on streets that it renders", "wrp propagate --config=demo"),
    ("Label one video from one label", "wrp propagate --data=clip.mp4 --label=000010.png"),
    ("Bring a video and its labels into one folder", "wrp import clip.mp4 D"),
    ("Ask what a folder holds, and what is wrong in it", "wrp doctor D"),
    (
        "Label by motion alone, without training",
        "wrp propagate --config=folder --data=D --method=motion-only --output=OUT",
    ),
    ("Train on your labels", "wrp train --config=folder --data=D --workdir=RUN"),
    (
        "Label by all methods",
        "wrp propagate --config=folder --data=D --workdir=RUN --output=OUT",
    ),
    ("Look at the labels, the worst clips first", "wrp view OUT"),
    ("Ask which frames to label next", "wrp next OUT"),
    (
        "Take these frames and their labels to a tool",
        "wrp export OUT cvat.zip --to=cvat --data=D --frames=OUT/next_frames.csv",
    ),
)
"""What people do, in the order in which they come to it, and the command for it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``wrp``.

    Args:
      arguments: what follows ``wrp``; of the command line if absent.

    Returns:
      The exit code; see ``command_line``.
    """
    keep_output_open()
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or _HELP[:1]
    if name in _HELP:
        print(overview())
        if not (sys.argv[1:] if arguments is None else arguments):
            print(f"\nNext: {_next_step(Path())}")
        return 0
    if name == "--version":
        print(f"wrp_jax {wrp_jax.__version__}")
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean 'wrp {close[0]}'?" if close else "'wrp --help' lists them."
        print(f"wrp: '{name}' is no command; {hint}", file=sys.stderr)
        return 2
    return run_command(name, [f"wrp {name}", *rest])


def run_command(name: str, argv: list[str]) -> int:
    """Runs one command.

    Args:
      name: one of ``COMMANDS``.
      argv: the name of the program, as messages show it, and the flags.

    Returns:
      The exit code.
    """
    from wrp_jax import interrupts

    with interrupts.listening():  # from now on: importing a command takes a while
        from wrp_jax.cli import command_line

        sys.argv = argv  # which absl and ml_collections read
        command = importlib.import_module(_module(name))
        config_flag = command.define_flags()
        given = () if config_flag is None else (config_flag,)
        main = functools.partial(command.main, *given)
        return command_line.run(main, command.__doc__, getattr(command, "POSITIONAL", ()))


def overview() -> str:
    """What ``wrp --help`` prints: what people do, and the commands with what each does."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{_summary(name)}" for name in COMMANDS]
    tasks = [line for task, command in _TASKS for line in (f"{task}:", f"  {command}")]
    return "\n".join(
        [
            "Warp-Refine Propagation: labels of a few frames, carried to the frames around them.",
            "",
            *tasks,
            "",
            "The commands:",
            *lines,
            "",
            "'wrp COMMAND --help' shows the flags of a command, 'wrp --version' the version.",
        ]
    )


def _next_step(folder: Path) -> str:
    """What to do first, by what lies in a folder."""
    if (folder / "run.json").is_file() and (folder / "report.html").is_file():
        return "this folder holds labels; 'wrp view .' shows them."
    for found in sorted(path.parent for path in folder.glob("*/report.html")):
        if (found / "run.json").is_file():
            return f"{found} holds labels; 'wrp view {found}' shows them."
    for found in (folder, *sorted(path for path in folder.glob("*") if path.is_dir())):
        if (found / "classes.json").is_file():
            return (
                f"{found} has a list of classes; 'wrp doctor {found}' says whether it can be used."
            )
    return "'wrp propagate --config=demo' needs nothing and shows what comes out."


def _module(name: str) -> str:
    name = name.replace("-", "_")
    return f"wrp_jax.cli.{name}_" if keyword.iskeyword(name) else f"wrp_jax.cli.{name}"


def _summary(name: str) -> str:
    """Read, not imported: a command's module may take a while."""
    path = Path(__file__).with_name(f"{_module(name).rpartition('.')[2]}.py")
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
