"""An option and a group of options: a dataclass whose fields say what they mean and may be.

The modules of the groups do without ``from __future__ import annotations``: ml_collections, which
reads ``--config.key=value``, looks at the types of the fields as they stand.
"""

import dataclasses
import difflib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from wrp_jax.config.moved import MOVED
from wrp_jax.types import UserError

_KEY = "option"


@dataclasses.dataclass(frozen=True)
class Option:
    """What stands beside a field. Numbers in a tuple obey the bounds one by one.

    Attributes:
      help: one or two sentences or phrases for the reference (Markdown).
      least: the smallest number that is allowed.
      above: numbers are greater than this.
      most: the largest number that is allowed.
      below: numbers are less than this.
      ascending: a pair whose smaller number stands first.
      choices: the strings that are allowed; empty: any.
    """

    help: str
    least: int | float = 0.0
    above: int | float = -math.inf
    most: int | float = math.inf
    below: int | float = math.inf
    ascending: bool = False
    choices: tuple[str, ...] = ()


def option(
    default: Any,
    help: str,
    *,
    least: int | float = 0.0,
    above: int | float = -math.inf,
    most: int | float = math.inf,
    below: int | float = math.inf,
    ascending: bool = False,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a group, with its `Option` beside it. Returns what ``dataclasses.field`` does."""
    described = Option(help, least, above, most, below, ascending, choices)
    return dataclasses.field(default=default, metadata={_KEY: described})


def share(default: Any, help: str) -> Any:
    """A field whose numbers are from 0 to 1."""
    return option(default, help, most=1.0)


def described(field: dataclasses.Field) -> Option:
    """The `Option` beside a field."""
    return field.metadata[_KEY]


class Options:
    """Base of all groups: a name that the group does not have is refused, never just stored.

    Not frozen: ``--config.key=value`` and config files write into the tree.
    """

    path: ClassVar[str] = "config"

    def __init_subclass__(cls, path: str):
        """``path``: from the root of the tree, e.g. ``config.segmentation``."""
        cls.path = path

    if not TYPE_CHECKING:  # for type checkers a field that does not exist is an error as it is

        def __new__(cls, *args: Any, **options: Any):  # noqa: D102
            for name in options:
                check_name(cls, name)
            return super().__new__(cls)

        def __setattr__(self, name: str, value: Any):
            check_name(type(self), name)
            super().__setattr__(name, value)

        def __getattr__(self, name: str):
            moved = moved_to(type(self), name, self.path)
            raise AttributeError(moved or f"{self.path} has no option '{name}'")


def groups_of(kind: type) -> dict[str, type[Options]]:
    """The groups inside a group, by name."""
    return {
        f.name: f.type
        for f in dataclasses.fields(kind)
        if isinstance(f.type, type) and issubclass(f.type, Options)
    }


def leaves(kind: type[Options]) -> Iterator[tuple[type[Options], dataclasses.Field]]:
    """Every option of a group and of the groups in it, with the group that has it."""
    inside = groups_of(kind)
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        if f.name not in inside:
            yield kind, f
    for part in inside.values():
        yield from leaves(part)


def moved_to(kind: type[Options], name: str, where: str) -> str:
    """``WHERE.name is now NEW.``, of an option of an earlier version; else empty."""
    root = where.removesuffix(kind.path.removeprefix("config"))  # "config", or "--config"
    new = MOVED.get(f"{kind.path}.{name}".removeprefix("config."))
    return f"{where}.{name} is now {root}.{new}." if new else ""


def check_name(kind: type[Options], name: str, where: str = "") -> None:
    """Refuses a name that a group does not have.

    Args:
      kind: the group.
      name: of an option or of a group inside.
      where: how the message calls the group; its path unless given.

    Raises:
      UserError: with the new name of an option that has moved, or a name that is much like it.
    """
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if name in known:
        return
    where = where or kind.path
    moved = moved_to(kind, name, where)
    if moved:
        raise UserError(moved)
    inside = {  # the nearest last, so that it wins over an option of the same name further in
        **{f.name: f"{part.path.removeprefix(kind.path)}.{f.name}" for part, f in leaves(kind)},
        **{f.name: f".{f.name}" for f in dataclasses.fields(kind)},  # type: ignore[arg-type]
    }
    close = difflib.get_close_matches(name, inside, n=1)
    names = ", ".join(f.name for f in dataclasses.fields(kind))  # type: ignore[arg-type]
    hint = f"did you mean {where}{inside[close[0]]}?" if close else f"it has {names}."
    bare = where.removeprefix("--")
    raise UserError(f"{where}.{name}: {bare} has no option '{name}'; {hint}")
