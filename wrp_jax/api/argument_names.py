"""Messages name command-line flags; a caller of the API finds its arguments in them instead."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from wrp_jax.types import UserError

_P = ParamSpec("_P")
_R = TypeVar("_R")
_FLAG = re.compile(r"'wrp [^']*'|(?<![\w-])--([a-z]\w*)")
_OTHERS = {"data": "video", "update_steps": "update"}
"""Flags whose arguments are called otherwise."""


def naming_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Has the mistakes that a function tells name ``workdir`` instead of ``--workdir``.

    Commands in quotes stay as they are.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            error.args = (_FLAG.sub(_argument, str(error)),)
            raise

    return wrapped


def _argument(found: re.Match[str]) -> str:
    flag = found[1]
    return found[0] if flag is None else _OTHERS.get(flag, flag)
