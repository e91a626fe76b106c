"""Addresses of object stores: nothing is read from or written to them directly.

Results appear by a rename, records grow by appending, locks are the kernel's, and TFDS reads
array_record from files: none of it holds for objects. ``pathlib`` would take ``gs://bucket/run``
for a folder ``gs:`` of the working directory.
"""

from __future__ import annotations

import os
import re

from wrp_jax.types import UserError

_IN_TEXT = re.compile(r"(?:^|[@:,\s('\"\[])([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_IN_PATH = re.compile(r"^([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
"""``pathlib`` makes one slash of two; ``C:/`` is a drive."""


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
        raise UserError(
            f"{flag}={os.fspath(text)} is an address ({found[1]}://), and only folders and files "
            "are read and written: mount the bucket (gcsfuse), or give a local folder and copy it "
            "(gcloud storage rsync); see docs/POD.md."
        )
