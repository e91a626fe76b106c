"""The order of frames in time, as their names tell it.

Names are compared piece by piece, numbers by value: ``frame2`` comes before ``frame10``. Where
all names of a sequence are one number between the same letters, that number may have a sign, a
decimal point and an exponent: ``-1``, ``0``, ``0.05``, ``0.1``, ``1e1``. Where a point could also
separate two counts (``1.9``, ``1.10``), the spelling of all names decides, if it can.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

_NUMBER = re.compile(
    r"(?P<sign>[+\-\u2212]?)[0-9]+(?:[.,](?P<part>[0-9]+))?(?P<power>[eE][+-]?[0-9]+)?"
)
_DECIMALS = re.compile(r"([0-9]+(?:[.,][0-9]+)?)")
_INTEGERS = re.compile(r"([0-9]+)")
_MORE_THAN_DIGITS = re.compile(r"0[.,]0|[+\-\u2212]0|0[eE][+-]?0")
"""What may be a decimal point, a sign or an exponent in a name with its digits made zeros."""
_LONGEST_POWER = 4
"""Digits of an exponent; longer ones belong to hexadecimal numbers."""


class Order(NamedTuple):
    """Frames in the order of time.

    Attributes:
      names: the names in order.
      numbers: the number in each name, where every name has one.
      unsure: two neighbours whose order their names do not tell for certain, or None.
    """

    names: tuple[str, ...]
    numbers: tuple[Decimal, ...] | None
    unsure: tuple[str, str] | None


def natural_key(name: str) -> tuple:
    """Sorts ``frame2`` before ``frame10``; equal numbers by their spelling."""
    return _pieces(name, _INTEGERS)


def same_number(name: str, names: Iterable[str]) -> list[str]:
    """Those of the names with the same numbers, however these are spelt.

    Example:
      >>> same_number("10", ["frame_000001", "frame_000010"])
      ['frame_000010']
    """
    numbers = [int(n) for n in _INTEGERS.findall(name)]
    return [n for n in names if numbers and [int(m) for m in _INTEGERS.findall(n)] == numbers]


def in_order(names: Sequence[str]) -> Order:
    """Sorts the names of the frames of one sequence.

    Args:
      names: distinct, in any order.

    Returns:
      The order. ``unsure`` names two frames where the names differ in more than numbers, hold
      the same number, hold none, or have decimals that may be counts.
    """
    natural = sorted(names, key=natural_key)
    shapes = [_shape(name) for name in natural]
    if len(set(shapes)) <= 1 and not _MORE_THAN_DIGITS.search("".join(shapes[:1])):
        numbers = _counts(natural)
        # The same number, however it is spelt, is all that neighbours could share here.
        pairs = zip(natural, natural[1:], numbers or (), (numbers or ())[1:], strict=False)
        twice = next(((a, b) for a, b, m, n in pairs if m == n and _alike((a, b))), None)
        return Order(tuple(natural), numbers, twice or (None if numbers else _alike(natural)))
    values = _values(natural)
    if values is not None:
        decimal = sorted(natural, key=lambda name: (values[name], natural_key(name)))
    else:
        decimal = sorted(natural, key=lambda name: _pieces(name, _DECIMALS))
    by_value, sure = _which(natural, values) if decimal != natural else (values is not None, True)
    chosen = decimal if by_value else natural
    if by_value and values is not None:
        numbers = tuple(values[name] for name in chosen)
        unsure = next((p for p in itertools.pairwise(chosen) if values[p[0]] == values[p[1]]), None)
    else:
        numbers, unsure = _counts(chosen), _alike(chosen)
    if not sure:
        place = {name: i for i, name in enumerate(natural)}
        unsure = next(p for p in itertools.pairwise(decimal) if place[p[0]] > place[p[1]])
    return Order(tuple(chosen), numbers, unsure)


def _alike(names: Sequence[str]) -> tuple[str, str] | None:
    """The first neighbours that differ in more than numbers, or whose numbers are the same."""
    for before, after in itertools.pairwise(names):
        numbers = _INTEGERS.findall(before)
        if _shape(before) != _shape(after) or not numbers:
            return before, after
        if [int(n) for n in numbers] == [int(n) for n in _INTEGERS.findall(after)]:
            return before, after
    return None


def _values(names: Sequence[str]) -> dict[str, Decimal] | None:
    """The number in each name, where the names are the same but for one number."""
    found = _middles(names)
    if found is None:
        return None
    prefix, matches = found
    # A hyphen behind a word that every name has separates: frame-1, frame-2.
    separated = prefix[-1:].isalnum() and all(match["sign"] for match in matches)
    values = {}
    for name, match in zip(names, matches, strict=True):
        if len(match["power"] or "") > _LONGEST_POWER:
            return None
        text = match[0].replace(",", ".").replace("\u2212", "-")
        values[name] = Decimal(text[1:] if separated else text)
    return values


def _middles(names: Sequence[str]) -> tuple[str, list[re.Match[str]]] | None:
    """What stands before the number in all names, and the number in each of them."""
    first = names[0]
    before, behind = _shared(names), _shared([name[::-1] for name in names])
    for start in range(before + 1):
        if re.search(r"[0-9][.,]?$", first[:start]):
            continue  # inside of a number
        for end in range(behind + 1):
            if re.match(r"[.,]?[0-9]", first[len(first) - end :]):
                continue
            matches = []
            for name in names:
                match = _NUMBER.fullmatch(name, start, max(start, len(name) - end))
                if not match:
                    break
                matches.append(match)
            else:
                return first[:start], matches
    return None


def _which(names: Sequence[str], values: dict[str, Decimal] | None) -> tuple[bool, bool]:
    """Of two orders that differ: whether that of decimals is right, and whether that is sure."""
    if values is not None:
        matches = _middles(names)
        assert matches is not None
        if any(value < 0 for value in values.values()):
            return True, True
        powers = [match["power"] for match in matches[1] if match["power"]]
        if powers:
            return True, any(power[1] in "+-" for power in powers)
        parts = [match["part"] or "" for match in matches[1]]
    else:
        found = [part for name in names for part in _DECIMALS.findall(name)]
        parts = [re.split("[.,]", part)[1] for part in found if not part.isdigit()]
    # A count has no leading zero where its length varies, a fraction no zero at its end.
    fractions = any(part.startswith("0") and len(part) > 1 for part in parts) or "" in parts
    counts = any(part.endswith("0") and len(part) > 1 for part in parts)
    return fractions or not counts, fractions != counts


def _counts(names: Sequence[str]) -> tuple[Decimal, ...] | None:
    """The only number of the names that varies, else their last."""
    found = [_INTEGERS.findall(name) for name in names]
    if not all(found):
        return None
    columns = list(zip(*found, strict=False))
    varying = [column for column in columns if len(set(column)) > 1]
    alike = len({len(numbers) for numbers in found}) == 1 and len(varying) == 1
    return tuple(map(Decimal, varying[0] if alike else [numbers[-1] for numbers in found]))


def _shared(names: Sequence[str]) -> int:
    """How many characters all names begin with."""
    first, last = min(names), max(names)
    differing = (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return next(differing, min(len(first), len(last)))


def _shape(name: str) -> str:
    return _INTEGERS.sub("0", name)


def _pieces(name: str, numbers: re.Pattern[str]) -> tuple:
    parts = numbers.split(name)
    values = ((Decimal(p.replace(",", ".")), "") if i % 2 else (-1, p) for i, p in enumerate(parts))
    return (*values, (-1, name))
