"""Which file ``--config`` means: a path, or the name of a config that comes with the package."""

from __future__ import annotations

import difflib
from pathlib import Path

from wrp_jax.types import UserError

_PACKAGE = Path(__file__).parents[1]

CONFIG_HELP = (
    "The options: a packaged config, such as folder, quick or demo, or a file whose get_config() "
    "returns them (FILE:VARIANT calls get_config(VARIANT)). --config.key=value sets an option."
)


def config_folder() -> Path:
    """Where the packaged configs lie: inside an installed package, beside a checkout's."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def config_names() -> list[str]:
    """The names of the packaged configs."""
    return sorted(path.stem for path in config_folder().glob("[!_]*.py"))


def config_file(value: str) -> str:
    """The value of ``--config`` with a path that exists.

    Args:
      value: ``demo``, ``configs/demo.py`` or any path, each with or without ``:VARIANT``. A file
        at that path wins over a packaged config.

    Returns:
      The path, with ``:VARIANT`` where it was given.

    Raises:
      UserError: there is no such file and no such packaged config.
    """
    path, colon, variant = value.partition(":")
    if Path(path).is_file():
        return value
    name = path.removeprefix("configs/").removesuffix(".py")
    known = config_names()
    if name in known:
        return f"{config_folder() / name}.py{colon}{variant}"
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        raise UserError(f"--config={value} does not exist: did you mean --config={close[0]}?")
    raise UserError(
        f"--config={value} does not exist: give a file, or one of the packaged configs "
        f"{', '.join(known)}."
    )
