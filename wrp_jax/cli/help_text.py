"""What ``--help`` prints about a command: its description and its own flags."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from absl import flags

HELP_FLAGS = frozenset({"--help", "-help", "--helpshort", "-h", "-?"})
"""``--helpfull`` is absl's: it lists the flags of every library, too."""

_WIDTH = 100


def command_help(description: str) -> str:
    """The description, then the flags that the command defined, with their help.

    Args:
      description: the docstring of the command's module.
    """
    program = Path(sys.argv[0]).name
    lines = [description.strip(), "", f"Flags of {program}:"]
    own = sorted(_own_flags(), key=lambda flag: flag.name)
    column = max((len(flag.name) for flag in own), default=0) + 6
    for flag in own:
        lines += textwrap.wrap(
            _explained(flag),
            width=_WIDTH,
            initial_indent=f"  --{flag.name}".ljust(column),
            subsequent_indent=" " * column,
        )
    return "\n".join(lines)


def _own_flags() -> list[flags.Flag]:
    """Flags of the commands and of the program itself, not those of the libraries."""
    by_module = flags.FLAGS.flags_by_module_dict()
    # absl calls the module "__main__" by what is in sys.argv[0].
    own = [m for m in by_module if m == sys.argv[0] or m.startswith("wrp_jax.cli.")]
    return [flag for module in own for flag in by_module[module]]


def meaning(flag: flags.Flag) -> str:
    """What a flag is, in the words of its definition, and what it may be."""
    parts = [flag.help or ""]
    if isinstance(flag, flags.EnumFlag):  # whose help begins with <one|two>, which does not wrap
        parts = [parts[0].partition(">: ")[2], f"One of {', '.join(flag.parser.enum_values)}."]
    elif isinstance(flag, flags.MultiFlag):
        parts = [parts[0].partition(";\n")[0], "May be given several times."]
    return " ".join(parts)


def _explained(flag: flags.Flag) -> str:
    parts = [meaning(flag)]
    if flag.default not in (None, [], "") and flag.default is not False:
        default = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
        parts.append(f"Default: {default}.")
    return " ".join(parts)
