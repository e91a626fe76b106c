"""Addresses of object stores, such as ``gs://bucket/run``, where paths are given.

``pathlib`` would take them for a folder ``gs:`` of the working directory. Commands work on a local
copy instead, see ``copies``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from wrp_jax.types import UserError

SCHEMES = ("gs", "s3", "az", "hf")
"""What ``etils.epath`` reads and writes."""

_IN_TEXT = re.compile(r"(?:^|[@:,\s('\"\[])([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_IN_PATH = re.compile(r"^([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
"""``pathlib`` makes one slash of two; ``C:/`` is a drive."""
_KNOWN = re.compile(rf"(?<![^@:,\s('\"\[])(?:{'|'.join(SCHEMES)})://[^@:,\s)'\"\]]+")


def refuse_address(text: str | os.PathLike[str], flag: str) -> None:
    """Refuses a value in which there is an address such as ``gs://bucket/folder``.

    Args:
      text: a path, or the value of a flag in which paths stand.
      flag: that gave it, for the message.

    Raises:
      UserError: it has one.
    """
    pattern = _IN_TEXT if isinstance(text, str) else _IN_PATH
    found = pattern.search(os.fspath(text))
    if found:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UserError(
            f"{flag}={os.fspath(text)} is an address ({found[1]}://), and here a folder or file is "
            f"needed: the commands take {known} in their flags; else mount the bucket, or copy it "
            "by hand; see docs/POD.md."
        )


def replace_addresses(text: str, flag: str, replace: Callable[[str], str]) -> str:
    """Puts something else in the place of every address in the value of a flag.

    Args:
      text: the value: ``gs://b/d``, ``gs://b/d:list.txt``, ``tfds:name:train@gs://b/sets``.
      flag: that gave it, for the message.
      replace: from an address, without slashes at its end, to what takes its place.

    Raises:
      UserError: there is an address of a kind that cannot be read.
    """
    replaced = _KNOWN.sub(lambda found: replace(found[0].rstrip("/")), text)
    refuse_address(replaced, flag)
    return replaced
