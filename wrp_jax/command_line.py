"""What ``train.py`` and ``propagate.py`` share: exit codes and reading ``--config``.

Exit codes: 0 done, 2 a user's mistake (one sentence on stderr), 3 some clips failed,
4 interrupted: the same command goes on where it stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags

from wrp_jax.types import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 4


class Interrupted(Exception):
    """The program was told to stop (SIGTERM, Ctrl-C) and what it has done is saved."""


def run(main: Callable[[], int | None], argv: Sequence[str] | None = None) -> int:
    """Parses flags, calls ``main()`` and turns what it raises into an exit code.

    Args:
      main: reads ``absl.flags.FLAGS``; its return value is the exit code (None is 0).
      argv: program name and arguments; ``sys.argv`` unless told.

    Returns:
      The exit code, for ``sys.exit``.
    """
    argv = list(sys.argv if argv is None else argv)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        _parse(argv)
        return main() or 0
    except UserError as error:
        print(f"{_program(argv)}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except (Interrupted, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        print(f"{_program(argv)}: {why}; run the same command to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _program(argv: Sequence[str]) -> str:
    return argv[0].rsplit("/", 1)[-1] if argv else "wrp_jax"


def _interrupt(number: int, frame: Any) -> None:
    del frame
    raise Interrupted(f"stopped by {signal.Signals(number).name}")


def _parse(argv: list[str]) -> None:
    """Parses flags. A wrong flag, config file or config key is a ``UserError``."""
    app.define_help_flags()
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(_first_sentence(error)) from error
    except FileNotFoundError as error:
        raise UserError(f"--config: {error.filename or error} does not exist.") from error
    except (AttributeError, KeyError, TypeError, ValueError, ImportError) as error:
        # ml_collections raises these for an unknown key or a value of another type.
        raise UserError(f"--config: {_first_sentence(error)}") from error
    if len(rest) > 1:
        raise UserError(f"'{rest[1]}' is not a flag: every argument begins with '--'.")


def _first_sentence(error: BaseException) -> str:
    text = str(error.args[0] if error.args else error).strip().splitlines()
    return text[0] if text else type(error).__name__
