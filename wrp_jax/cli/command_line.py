"""What the commands share: exit codes, ``--help``, ``--config``, ``~`` and ``gs://`` in any path.

Exit codes, with one sentence on stderr: 0 done; 1 wrp doctor has found problems; 2 a user's mistake
in what was given, nothing is written; 3 some clips failed, the others are done; 4 interrupted, the
same command goes on where it stopped; 5 the machine (a full disk, too little memory, an output that
was removed), the same command goes on once that is mended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from wrp_jax import interrupts
from wrp_jax.api.argument_names import naming_flags
from wrp_jax.cli.compiled import keep_compiled_programs
from wrp_jax.cli.config_files import CONFIG_HELP, config_file
from wrp_jax.cli.help_text import HELP_FLAGS, command_help, meaning
from wrp_jax.cli.memory import keep_memory_together
from wrp_jax.cli.terminal import keep_output_open
from wrp_jax.config import Config, check, check_key
from wrp_jax.files.copies import address_of, copies_of_addresses, local_copy
from wrp_jax.files.failures import Failures
from wrp_jax.machine import machine_error
from wrp_jax.types import UserError

EXIT_FOUND = 1
EXIT_USER_ERROR = 2
EXIT_FAILED = 3
EXIT_INTERRUPTED = interrupts.EXIT_CODE
EXIT_MACHINE = 5

WINDOWS_HELP = (
    "A file of windows, one a line: '<sequence> <labelled frame> <first> <last>'. Default: "
    "around every labelled frame."
)
KEYFRAMES_HELP = (
    "A file of the labelled frames to use, one a line: '<sequence> <frame>'. Default: all."
)

_SAID_ELSEWHERE = {("config.propagation.tau", "auto"): "choose_tau"}
"""Flags by the option and the value that stand for them, which no option of its type can have."""

_BESIDE = {"label": "classes.json"}
"""Flags that name a file, and the file beside it that is read, too."""

_MOUNT = "gcsfuse --implicit-dirs --rename-dir-limit=1000"
"""Checkpoints are folders that are renamed once they are whole."""

_HOME = re.compile(r"""(^|[:@,\s('"\[])(~[^/:@,\s)'"\]]*)(?=[/:@,\s)'"\]]|$)""")
"""``~`` or ``~user`` at the beginning of a path: also in ``ROOT:LIST``, after ``@``, in a tuple."""


def run(
    main: Callable[[], int | None],
    description: str | None = None,
    positional: Sequence[str] = (),
) -> int:
    """Parses ``sys.argv``, calls ``main()`` and turns what it raises into an exit code.

    Args:
      main: reads ``absl.flags.FLAGS``; its return value is the exit code (None is 0).
      description: what ``--help`` says above the flags; by default the program's docstring.
      positional: the flags whose values may also be given alone, in this order, as in ``wrp merge
        OUT``.

    Returns:
      The exit code, for ``sys.exit``.
    """
    keep_output_open()
    keep_compiled_programs()
    keep_memory_together()
    program = Path(sys.argv[0]).name
    if HELP_FLAGS & set(sys.argv[1:]):
        print(command_help(description or sys.modules["__main__"].__doc__ or ""))
        return 0
    with interrupts.listening():
        try:
            with copies_of_addresses(), naming_flags():
                _parse(sys.argv, positional)
                interrupts.check()
                return main() or 0
        except UserError as error:
            print(f"{program}: {error}", file=sys.stderr)
            return EXIT_USER_ERROR
        except KeyboardInterrupt as error:  # Interrupted, or before anyone listens
            why = str(error) or "interrupted"
            print(f"{program}: {why}; run the same command to go on.", file=sys.stderr)
            return EXIT_INTERRUPTED
        except Exception as error:
            fault = machine_error(error)
            if fault is None:
                raise
            print(f"{program}: {fault}", file=sys.stderr)
            return EXIT_MACHINE


def expand_home(arguments: Sequence[str]) -> list[str]:
    """Puts home folders in the place of ``~`` and ``~user`` in the arguments of a command.

    A shell does it at the beginning of an argument only, not behind ``--output=`` or in
    ``--stills=ROOT:LIST``. ``~user`` stays as it is where there is no such user.

    Args:
      arguments: of the command line; values of flags and others.
    """
    expanded = []
    for argument in arguments:
        is_flag, (name, equals, value) = argument.startswith("-"), argument.partition("=")
        expanded.append(
            f"{name}{equals}{_expand(value)}" if is_flag and equals else _expand(argument)
        )
    return expanded


def _with_underscores(argument: str) -> str:
    """``--dry-run`` as ``--dry_run``, where there is such a flag: both are usual."""
    name, equals, value = argument.partition("=")
    known = f"{name[:2]}{name[2:].replace('-', '_')}"
    return f"{known}{equals}{value}" if name[:2] == "--" and known[2:] in flags.FLAGS else argument


def _expand(text: str) -> str:
    return _HOME.sub(lambda found: found[1] + os.path.expanduser(found[2]), text)


def _expand_options(options: Any, path: str = "config") -> None:
    """As ``expand_home`` and ``_copy_addresses``, for what a config file sets."""
    for option in dataclasses.fields(options):
        value, name = getattr(options, option.name), f"{path}.{option.name}"

        def local(text: Any, name: str = name) -> Any:
            return local_copy(_expand(text), name) if isinstance(text, str) else text

        if dataclasses.is_dataclass(value):
            _expand_options(value, name)
        elif isinstance(value, str):
            setattr(options, option.name, local(value))
        elif isinstance(value, tuple | list):
            setattr(options, option.name, type(value)(map(local, value)))


def _copy_addresses() -> None:
    """Puts local copies in the place of addresses in all flags, such as ``--data=gs://…``."""
    for name in flags.FLAGS:
        flag = flags.FLAGS[name]
        if flag.value == flag.default:
            continue  # whichever library has defined it
        written = name in ("output", "workdir")
        local = functools.partial(
            local_copy, flag=f"--{name}", written=written, beside=_BESIDE.get(name, "")
        )
        if isinstance(flag.value, str):
            flag.value = local(flag.value)
        elif isinstance(flag.value, list):
            flag.value = [local(text) if isinstance(text, str) else text for text in flag.value]


def define_config() -> flags.FlagHolder:
    """Defines ``--config=FILE`` and ``--config.key=value``; read it by ``read_config``.

    Ends the program where ``--flagfile`` names no file: it is opened here.
    """
    try:
        return config_flags.DEFINE_config_file("config", None, CONFIG_HELP)
    except flags.CantOpenFlagFileError as error:
        why = str(error).removeprefix("ERROR:: ")
        print(f"{Path(sys.argv[0]).name}: {why}: correct --flagfile.", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def define_data() -> None:
    """Defines ``--data`` of the commands that read video."""
    flags.DEFINE_string(
        "data",
        None,
        "A folder of video, a tool's export, tfds:NAME/CONFIG:SPLIT[@DIR] or synthetic:….",
    )


def define_label() -> None:
    """Defines ``--label`` of the commands that take labels file by file; see ``label_files``."""
    flags.DEFINE_multi_string(
        "label",
        [],
        "A label PNG of a video or a folder of frames: the number in its name is that of its "
        "frame, counted from 0 in a video; FRAME:PATH for other names. Its classes are those of "
        "classes.json beside it, or its ids or colours.",
    )


def define_partial(part: str, limited: str) -> None:
    """Defines ``--limit``, ``--fail_fast`` and ``--dry_run`` of the commands that do their work in
    parts, and go on behind one that failed.

    Args:
      part: what fails alone.
      limited: what ``--limit`` counts.
    """
    flags.DEFINE_integer(
        "limit", None, f"Only the first so many {limited}; the next run goes on.", lower_bound=1
    )
    flags.DEFINE_bool("fail_fast", False, f"Ends at the first {part} whose files are damaged.")
    flags.DEFINE_bool("dry_run", False, "Says how much there is to do, in what time and memory.")


def print_lines(lines: Iterable[str]) -> None:
    """Prints lines as they become known."""
    for line in lines:
        print(line, flush=True)


def failed(failures: Failures, output: Path) -> int:
    """Says on stderr which parts failed; the exit code, 0 if none did.

    Args:
      failures: of this process.
      output: whose list is said instead where it is that of shards that have been merged.
    """
    if not failures.path.parent.exists():
        failures = Failures(output)
    if not failures:
        return 0
    print(
        f"{len(failures)} failed, the others are done; {failures.path} lists them, and the same "
        f"command tries them again. The first: {failures.reasons[0]}",
        file=sys.stderr,
    )
    return EXIT_FAILED


def define_processes() -> None:
    """Defines the flags of ``joined_processes``."""
    flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, if there are several.")
    flags.DEFINE_integer("num_processes", None, "How many processes train together.")
    flags.DEFINE_integer("process_id", None, "The number of this process, from 0.")


@contextlib.contextmanager
def joined_processes() -> Iterator[None]:
    """See ``processes.joined``; JAX is imported here.

    Raises:
      UserError: several processes, and ``--workdir`` is an address: each reads what the others
        have written (parts of checkpoints, results of stages), which a local copy does not have.
    """
    import jax

    from wrp_jax.processes import joined

    given = flags.FLAGS
    with joined(given.coordinator, given.num_processes, given.process_id):
        address = address_of(given.workdir) if given.workdir else None
        if address and jax.process_count() > 1:
            bucket, _, folder = address.partition("://")[2].partition("/")
            how = f" ({_MOUNT} {bucket} MOUNT)" if address.startswith("gs://") else ""
            raise UserError(
                f"--workdir={address} is an address, and several processes read what each of them "
                f"has written: mount {bucket} in every machine{how}, and give "
                f"--workdir=MOUNT/{folder}; see docs/POD.md."
            )
        yield


def require(*names: str) -> None:
    """Refuses to go on without these flags.

    Raises:
      UserError: one is not given, or empty.
    """
    for name in names:
        if not flags.FLAGS[name].value:
            told = meaning(flags.FLAGS[name])
            raise UserError(f"--{name} is missing: {told} --help has examples.")


def read_config(holder: flags.FlagHolder) -> Config:
    """The options: the file's ``get_config()`` with the overrides of the command line.

    Raises:
      UserError: no ``--config``, a file that does not load, or a value of the wrong type.
    """
    config = holder.value
    if config is None and not holder.present:
        raise UserError(
            "--config is missing: give a file, or the name of a packaged config, e.g. folder."
        )
    if not isinstance(config, Config):
        try:
            getattr(config, "stages", None)  # raises the OSError that the file met, if it met one
        except OSError as error:
            raise UserError(f"--config cannot be loaded ({error}): correct the file.") from error
        raise UserError(
            "--config must be a file whose get_config() returns a config.Config, not "
            f"{type(config).__name__}."
        )
    _expand_options(config)
    check(config, "--config")
    return config


def _parse(argv: list[str], positional: Sequence[str] = ()) -> None:
    """Parses flags. A wrong flag, config file or config key is a ``UserError``."""
    app.define_help_flags()
    if positional:
        flags.FLAGS.set_gnu_getopt(True)  # flags may follow what stands alone
    try:
        # Files of --flagfile are read first, so that what they give is checked as well.
        given = expand_home(flags.FLAGS.read_flags_from_files(argv[1:], force_gnu=False))
        given = [_with_underscores(argument) for argument in given]
        given = _with_output_of_verify(given)
        given = _with_quick_config(given)
        rest = flags.FLAGS([argv[0], *_with_config_file(given)])
    except flags.Error as error:
        raise UserError(_flag_error(error)) from error
    except UserError:
        raise
    except Exception as error:  # flags run the file of --config, which may raise anything
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(
            f"--config cannot be loaded ({type(error).__name__}: {reason}): correct the file."
        ) from error
    for name in positional:
        flag = flags.FLAGS[name]
        if len(rest) > 1 and isinstance(flag, flags.MultiFlag):  # takes all that are left
            flag.parse(rest[1:])
            del rest[1:]
        elif len(rest) > 1 and not flag.present:
            flag.parse(rest.pop(1))
    if len(rest) > 1:
        raise UserError(f"'{rest[1]}' is not a flag: every argument begins with '--'.")
    _copy_addresses()


def _flag_error(error: flags.Error) -> str:
    """One line. A config file's TypeError or ValueError arrives with its traceback as its text."""
    first, *others = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return f"{first} {others[-1]}: correct the file." if "config file:" in first else first


def _with_output_of_verify(arguments: list[str]) -> list[str]:
    """``--verify OUT`` is ``--verify --output=OUT``."""
    found = list(arguments)
    for i, argument in enumerate(arguments[:-1], 1):
        if argument.lstrip("-") == "verify" and not arguments[i].startswith("-"):
            found[i] = f"--output={arguments[i]}"
    return found


def _with_quick_config(arguments: list[str]) -> list[str]:
    """``--label`` needs nothing else: where no config is given, it is the quick one."""
    names = {argument.lstrip("-").partition("=")[0] for argument in arguments}
    asked = "label" in names and {"label", "config"} <= set(flags.FLAGS) and "config" not in names
    return [f"--config={config_file('quick')}", *arguments] if asked else arguments


def _with_config_file(arguments: list[str]) -> list[str]:
    """The arguments, with the path of the file in the place of a config's name.

    And with a flag in the place of a value that its option cannot have. A value may be given after
    ``=`` or as the next argument.
    """
    found: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, is_set, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-"):
            found.append(argument)
            continue
        apart = [] if is_set else rest[:1]
        flag = _SAID_ELSEWHERE.get((name, apart[0] if apart else value), "")
        if flag in flags.FLAGS:
            del rest[: len(apart)]
            argument = f"--{flag}"
        elif name.startswith("config."):
            check_key(name)
        elif name == "config":
            if is_set:
                argument = f"--config={config_file(value)}"
            elif apart:
                rest[0] = config_file(rest[0])
        found.append(argument)
    return found
