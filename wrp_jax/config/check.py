"""Whether a tree of options holds what it may: types, bounds and names."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any

from wrp_jax.config.option import Option, Options, check_name, described, groups_of
from wrp_jax.config.tree import Config
from wrp_jax.types import UserError


def check(config: Config, where: str = "config") -> None:
    """Looks through all options.

    Args:
      config: the tree.
      where: how messages call it: ``config`` in Python, ``--config`` at the command line.

    Raises:
      UserError: of the first option that is of another type, out of bounds, or a name that is
        not one of its choices.
    """
    _check_group(config, where)


def check_key(key: str) -> None:
    """Refuses a key that is no option.

    Args:
      key: ``config.segmentation.optimiser.steps``, as it follows ``--``.

    Raises:
      UserError: with the new name of an option that has moved, a name that is much like it, or
        because it is a whole group.
    """
    kind: type[Options] | None = Config
    where, *parts = f"--{key}".split(".")
    for part in parts:
        if kind is None:
            raise UserError(f"--{key}: {where.removeprefix('--')} has no option '{part}'.")
        check_name(kind, part, where)
        kind, where = groups_of(kind).get(part), f"{where}.{part}"
    if kind is not None:
        raise UserError(f"--{key} is a group of options: set one of them.")


def _check_group(options: Any, where: str) -> None:
    kinds = groups_of(type(options))
    for field in dataclasses.fields(options):
        value, name = getattr(options, field.name), f"{where}.{field.name}"
        if not _is_a(value, field.type):
            kind = str(field.type).removeprefix("<class '").removesuffix("'>")
            raise UserError(f"{name} is {value!r}: it must be of type {kind}.")
        if field.name in kinds:
            _check_group(value, name)
        else:
            fault = _fault(value, described(field))
            if fault:
                shown = repr(value) if isinstance(value, str) else value
                raise UserError(f"{name} is {shown}: {fault}.")


def _fault(value: Any, option: Option) -> str:
    """What a value must be instead; empty where it may stay."""
    values = value if isinstance(value, tuple | list) else (value,)
    numbers = [n for n in values if _is_a(n, float)]
    lowest, highest = min(numbers, default=math.nan), max(numbers, default=math.nan)
    if option.choices:
        unknown = set(values) - set(option.choices)
        return f"use one of {', '.join(option.choices)}" if unknown else ""
    if not all(map(math.isfinite, numbers)):
        return "it must be finite"
    if lowest < option.least and option.least > 0:
        return f"it must be at least {option.least:g}"
    if lowest < option.least or highest > option.most:
        if (option.least, option.most) == (0, math.inf):
            return "it must not be negative"
        if highest > option.most and option.least == 0 and option.most > 100:
            return f"it must be at most {option.most}"
        return f"it must be from {option.least:g} to {option.most:g}"
    if lowest <= option.above:
        return f"it must be above {option.above:g}"
    if highest >= option.below:
        return f"it must be below {option.below:g}"
    if option.ascending and numbers != sorted(numbers):
        return "it must have the smaller number first"
    return ""


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a value is of a type: int, float, str, bool, a tuple, a group, a union of these."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(_is_a(value, argument) for argument in arguments)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, tuple | list):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_is_a(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_is_a, value, arguments))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)
