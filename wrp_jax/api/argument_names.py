"""Messages name command-line flags; a caller of the API finds its arguments in them instead."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from wrp_jax.types import UserError

_P = ParamSpec("_P")
_R = TypeVar("_R")
_FLAG = re.compile(r"'wrp [^']*'|(?<![\w-])--([a-z]\w*)")
_OTHERS = {"data": "video", "update_steps": "update"}
"""Flags whose arguments are called otherwise."""

_by_a_command: ContextVar[bool] = ContextVar("by_a_command", default=False)


@contextlib.contextmanager
def naming_flags() -> Iterator[None]:
    """Has functions of the API leave the flags in their mistakes: a command calls them inside."""
    before = _by_a_command.set(True)
    try:
        yield
    finally:
        _by_a_command.reset(before)


def naming_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Has the mistakes that a function tells name ``workdir`` instead of ``--workdir``.

    Commands in quotes stay as they are, and so does everything within `naming_flags`.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            if not _by_a_command.get():
                error.args = (_FLAG.sub(_argument, str(error)),)
            raise

    return wrapped


def _argument(found: re.Match[str]) -> str:
    flag = found[1]
    return found[0] if flag is None else _OTHERS.get(flag, flag)
