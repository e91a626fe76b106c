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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``wrp``.

    Args:
      arguments: what follows ``wrp``; of the command line if absent.

    Returns:
      The exit code; see ``command_line``.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or _HELP[:1]
    if name in _HELP:
        print(overview())
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
    """What ``wrp --help`` prints: the commands, each with the first line of its description."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{_summary(name)}" for name in COMMANDS]
    return "\n".join(
        [
            "Warp-Refine Propagation: labels of a few frames, carried to the frames around them.",
            "",
            "  wrp COMMAND --flag=value ...",
            "",
            *lines,
            "",
            "'wrp COMMAND --help' shows the flags of a command, 'wrp --version' the version.",
        ]
    )


def _module(name: str) -> str:
    name = name.replace("-", "_")
    return f"wrp_jax.cli.{name}_" if keyword.iskeyword(name) else f"wrp_jax.cli.{name}"


def _summary(name: str) -> str:
    """Read, not imported: a command's module may take a while."""
    path = Path(__file__).with_name(f"{_module(name).rpartition('.')[2]}.py")
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
