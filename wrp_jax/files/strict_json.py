"""JSON that others wrote: finite numbers, no key twice, no depth beyond the parser's.

``json.loads`` alone takes NaN, keeps the last of two equal keys without a word and answers depth
with ``RecursionError``.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from typing import Any, NoReturn

from wrp_jax.files.regular import read_bytes

MAX_BYTES = 2**20
"""A list of classes takes thousands of bytes; Python's objects, thirty times those of the text."""


def read_json(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> Any:
    """Reads a file of JSON in UTF-8, with or without a mark at its beginning.

    Raises:
      UserError: there is no such file, or it has more bytes than ``limit``.
      ValueError: as ``parse_json``.
    """
    return parse_json(read_bytes(path, limit))


def parse_json(text: bytes) -> Any:
    """The value of a text of JSON.

    Raises:
      ValueError: it is no JSON, nested too deeply, has a key twice in one object, or a number
        that is not finite.
    """
    try:
        return json.loads(
            text.decode("utf-8-sig"),  # editors add a mark
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {reprlib.repr(twice)} occurs twice in one object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {reprlib.repr(text)} is too large")
    return number
