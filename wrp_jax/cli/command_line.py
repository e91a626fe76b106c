"""What ``train.py`` and ``propagate.py`` share: exit codes and reading ``--config``.

Exit codes: 0 done, 2 a user's mistake (one sentence on stderr), 4 interrupted: the same
command goes on where it stopped.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from wrp_jax.config import Config, check, check_key
from wrp_jax.types import Interrupted, UserError

EXIT_USER_ERROR = 2


EXIT_INTERRUPTED = 4


def run(main: Callable[[], int | None]) -> int:
    """Parses ``sys.argv``, calls ``main()`` and turns what it raises into an exit code.

    Args:
      main: reads ``absl.flags.FLAGS``; its return value is the exit code (None is 0).

    Returns:
      The exit code, for ``sys.exit``.
    """
    program = Path(sys.argv[0]).name
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        _parse(sys.argv)
        return main() or 0
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except (Interrupted, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        print(f"{program}: {why}; run the same command to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        if before is not None:  # all is written: what Python still waits for may be killed
            signal.signal(signal.SIGTERM, before)


def define_config() -> flags.FlagHolder:
    """Defines ``--config=FILE`` and ``--config.key=value``; read it by ``read_config``.

    Ends the program where ``--flagfile`` names no file: it is opened here.
    """
    try:
        return config_flags.DEFINE_config_file("config", None, "A file of configs/.")
    except flags.CantOpenFlagFileError as error:
        why = str(error).removeprefix("ERROR:: ")
        print(f"{Path(sys.argv[0]).name}: {why}: correct --flagfile.", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def read_config(holder: flags.FlagHolder) -> Config:
    """The options: the file's ``get_config()`` with the overrides of the command line.

    Raises:
      UserError: no ``--config``, a file that does not load, or a value of the wrong type.
    """
    config = holder.value
    if config is None and not holder.present:
        raise UserError("--config is missing: give a file of configs/, e.g. configs/folder.py.")
    if not isinstance(config, Config):
        try:
            getattr(config, "stages", None)  # raises the OSError that the file met, if it met one
        except OSError as error:
            raise UserError(f"--config cannot be loaded ({error}): correct the file.") from error
        raise UserError(
            "--config must be a file whose get_config() returns a config.Config, not "
            f"{type(config).__name__}."
        )
    check(config, "--config")
    return config


def _interrupt(number: int, frame: Any) -> None:
    del frame
    raise Interrupted(f"stopped by {signal.Signals(number).name}")


def _parse(argv: list[str]) -> None:
    """Parses flags. A wrong flag, config file or config key is a ``UserError``."""
    app.define_help_flags()
    for argument, following in itertools.zip_longest(argv[1:], argv[2:], fillvalue=""):
        name, is_set, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name.startswith("config."):
            check_key(name)
        elif argument.startswith("-") and name == "config":
            _check_config_file(value if is_set else following)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(_flag_error(error)) from error
    except UserError:
        raise
    except Exception as error:  # flags run the file of --config, which may raise anything
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(
            f"--config cannot be loaded ({type(error).__name__}: {reason}): correct the file."
        ) from error
    if len(rest) > 1:
        raise UserError(f"'{rest[1]}' is not a flag: every argument begins with '--'.")


def _flag_error(error: flags.Error) -> str:
    """One line. A config file's TypeError or ValueError arrives with its traceback as its text."""
    first, *others = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return f"{first} {others[-1]}: correct the file." if "config file:" in first else first


def _check_config_file(value: str) -> None:
    path = value.split(":")[0]  # FILE:VARIANT hands VARIANT to get_config
    if not Path(path).is_file():
        raise UserError(
            f"--config={value} does not exist: give a file of configs/, e.g. configs/folder.py."
        )
