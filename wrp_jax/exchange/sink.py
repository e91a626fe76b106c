"""Where an export goes: a folder, in which a second run writes what differs, or a zip."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from wrp_jax.files.atomic import replacing
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import RUN_FILE, claim_output
from wrp_jax.files.records import RECORDS_FILE, Records, fingerprint
from wrp_jax.files.regular import open_regular, read_bytes
from wrp_jax.files.verify import check_unchanged
from wrp_jax.types import UserError

_COMMENT = b"wrp export"
"""Of a zip: by it a later export knows that it may take its place."""
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""Of all files in a zip, so that equal exports are equal files."""


@runtime_checkable
class Sink(Protocol):
    """Takes the files of an export.

    Attributes:
      name: of the project, for tools that want one.
      made: how many files were not there as they are.
    """

    name: str
    made: int

    def put(self, path: str, data: bytes) -> None:
        """Writes a file.

        Args:
          path: below the root of the project, with ``/``.
          data: its content.
        """
        ...


class _Folder:
    def __init__(self, root: Path, to: str):
        self.name, self.made = root.resolve().name, 0
        self._root, self._to, self._records = root, to, Records(root)
        self._files: list[Path] = []

    def put(self, path: str, data: bytes) -> None:
        if not self._files:  # not before there is something to write
            claim_output(self._root, {"export": self._to})
        file = self._root / path
        self._files.append(file)
        if file.is_file() and not file.is_symlink() and read_bytes(file) == data:
            self._records.add(fingerprint(path), [file])
            return
        self._records.write(fingerprint(path), file, data)
        self.made += 1

    def finish(self) -> None:
        """Removes what an earlier export has left."""
        self._records.keep_only(self._files)
        self._records.save()


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, name: str):
        self.name, self.made = name, 0
        self._archive = archive

    def put(self, path: str, data: bytes) -> None:
        info = zipfile.ZipInfo(path, _FIRST_DAY)
        info.external_attr = 0o644 << 16
        packed = path.lower().endswith((".png", ".jpg", ".jpeg"))
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        self._archive.writestr(info, data)
        self.made += 1


def is_archive(dest: Path) -> bool:
    """Whether an export of this name is a zip."""
    return dest.suffix.lower() == ".zip"


def _is_ours(file: Path) -> bool:
    try:
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            return archive.comment == _COMMENT
    except (UserError, zipfile.BadZipFile):
        return False


@contextlib.contextmanager
def open_sink(dest: Path, to: str) -> Iterator[Sink]:
    """Opens the place of an export.

    Args:
      dest: a folder, or a file that ends in ``.zip``, which is there when it is complete.
      to: the format.

    Raises:
      UserError: the folder or file holds something else, or files that were changed since an
        earlier export; or it cannot be written.
    """
    if is_archive(dest):
        if os.path.lexists(dest) and not _is_ours(dest):
            raise UserError(f"{dest} is there already and no export of wrp: give another name.")
        with replacing(dest) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            archive.comment = _COMMENT
            yield _Zip(archive, dest.stem)
        return
    ours = any((dest / name).is_file() for name in (RUN_FILE, RECORDS_FILE))
    if dest.is_dir() and any(dest.iterdir()) and not ours:
        raise UserError(f"{dest} holds files of something else: give a new folder, or a .zip.")
    with sole_writer(dest, "DEST"):
        check_unchanged(dest)
        sink = _Folder(dest, to)
        yield sink
        sink.finish()
