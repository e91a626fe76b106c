"""The page of the commands: ``python -m wrp_jax.cli.reference > docs/COMMANDS.md``."""

from __future__ import annotations

import subprocess
import sys

from wrp_jax.cli.main import COMMANDS, overview

_HEAD = """# Commands

`python train.py` and `python propagate.py` in a checkout are `wrp train` and `wrp propagate`.
`python -m wrp_jax.cli.reference > docs/COMMANDS.md` writes this page.
[OPTIONS.md](OPTIONS.md) lists what `--config.key=value` may set, [OUTPUTS.md](OUTPUTS.md) what the
commands write.
"""


def commands_page() -> str:
    """The Markdown of the page: the overview, then the help of each command."""
    parts = [_HEAD, _block(overview())]
    for name in COMMANDS:
        parts += [f"## wrp {name}\n", _block(_help(name))]
    return "\n".join(parts)


def _help(name: str) -> str:
    """In a process of its own: flags are defined once in a process."""
    command = [sys.executable, "-m", "wrp_jax", name, "--help"]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


def _block(text: str) -> str:
    return f"```text\n{text.strip()}\n```\n"


if __name__ == "__main__":
    print(commands_page(), end="")
