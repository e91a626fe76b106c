"""The files of an export, whether it is a folder, an archive or a single file.

Archives are read where they lie: nothing is unpacked, and what is taken from one goes to a place
that this program chooses. Names in them that lead elsewhere are refused all the same, since such an
archive is no tool's export.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

from wrp_jax.data import images
from wrp_jax.data.frame_names import natural_key
from wrp_jax.files.regular import MAX_BYTES, open_regular, read_bytes
from wrp_jax.types import UserError

MAX_FILES = 1_000_000
MAX_TEXT = 2**29
"""Bytes that a JSON or XML may have; the largest file of COCO's annotations has 470 million."""
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
"""Endings of archives, of which the first kind is read."""
MAX_DEPTH, MAX_NAME = 64, 4096
"""Folders around a file, and characters of its path, in an archive."""
_OTHER_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
"""How files packed by gzip, bzip2, xz, 7z, rar and zstd begin; a tar has its mark further on."""
_TAR_MARK = slice(257, 262)
_SUPPORTED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Tree:
    """Files by their paths below a root, with ``/``, in natural order; hidden ones left out.

    Attributes:
      source: the folder, archive or file that was given.
      files: the paths.
    """

    def __init__(
        self,
        source: Path,
        files: Iterable[str],
        archive: zipfile.ZipFile | None = None,
        prefix: str = "",
        members: Mapping[str, str] | None = None,
    ):
        """Use ``open_tree``."""
        self.source, self._archive, self._prefix = source, archive, prefix
        self._members = members or {}  # path with the prefix → name in the archive
        self.files = tuple(sorted(files, key=natural_key))
        self._known = frozenset(self.files)
        self._state = None if archive is None else _state(source)

    def __enter__(self) -> Tree:
        """The tree itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the archive."""
        if self._archive is not None:
            file = self._archive.fp
            self._archive.close()  # which leaves a file open that it was given
            if file is not None:
                file.close()

    @property
    def is_packed(self) -> bool:
        """Whether the files lie in an archive."""
        return self._archive is not None

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def below(self, folder: str) -> tuple[str, ...]:
        """The files of a folder and the folders in it; ``""`` for all of them."""
        return tuple(name for name in self.files if name.startswith(folder and f"{folder}/"))

    def folders(self) -> frozenset[str]:
        """The folders at the root."""
        return frozenset(name.partition("/")[0] for name in self.files if "/" in name)

    def pictures(self, folder: str = "") -> tuple[str, ...]:
        """As ``below``, of the pictures alone."""
        return tuple(name for name in self.below(folder) if is_picture(name))

    def where(self, name: str) -> str:
        """What to call a file in messages."""
        if self.source.is_file() and self._archive is None:
            return str(self.source)
        return f"{self.source}{'/' if self._archive is None else ':'}{self._prefix}{name}"

    def path(self, name: str) -> Path | None:
        """The file itself; None in an archive."""
        if self._archive is not None:
            return None
        return self.source if self.source.is_file() else self.source / self._prefix / name

    def origin(self, name: str) -> Path:
        """The file on disk that a file comes from: the archive, or itself."""
        return self.path(name) or self.source

    def size(self, name: str) -> int:
        """Bytes of a file."""
        if self._archive is None:
            return self.origin(name).stat().st_size
        return self._archive.getinfo(self._members[self._prefix + name]).file_size

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        """The content of a file.

        Raises:
          UserError: it is larger than ``limit``, damaged, or packed in a way that is not read.
        """
        if self._archive is None:
            return read_bytes(self.origin(name), limit)
        info = self._archive.getinfo(self._members[self._prefix + name])
        if info.file_size > limit:
            raise UserError(
                f"{self.where(name)} has {info.file_size} bytes and may have {limit}: it is not "
                "what it is taken for."
            )
        try:
            with self._archive.open(info) as stream:
                data = stream.read(limit + 1)
        except Exception as error:  # zipfile and zlib raise whatever they meet in untrusted bytes
            raise UserError(self._damaged(name)) from error
        if len(data) != info.file_size:
            raise UserError(self._damaged(name))
        return data

    def _damaged(self, name: str) -> str:
        if _state(self.source) != self._state:
            return f"{self.source} was changed while it was read: run the same command again."
        return f"{self.where(name)} is damaged: export it again."

    def inside(self, folder: str) -> Tree:
        """The tree of a folder at the root."""
        cut = f"{folder}/"
        files = (name.removeprefix(cut) for name in self.files if name.startswith(cut))
        return Tree(self.source, files, self._archive, self._prefix + cut, self._members)


def open_tree(source: Path) -> Tree:
    """Lists the files of an export.

    Args:
      source: a folder, a zip archive, or one file.

    Raises:
      UserError: it is not there; an archive that is damaged, holds names that lead out of it or are
        very long, two files of one name, links or encrypted files, or more than a million files.
    """
    if source.is_dir():
        return Tree(source, _walk(source))
    file = open_regular(source)
    try:
        if not zipfile.is_zipfile(file):
            _check_no_archive(source, file)
            file.close()
            return Tree(source, (source.name,))
        archive = zipfile.ZipFile(file)
        members = _members(source, archive)
        return Tree(source, members, archive, members=members)
    except UserError:
        file.close()
        raise
    except Exception as error:  # as above
        file.close()
        raise UserError(f"{source} is damaged or cut off: export it again.") from error


def _state(source: Path) -> tuple[int, int]:
    """Size and time of a file, by which a change is known."""
    found = source.stat()
    return found.st_size, found.st_mtime_ns


def _check_no_archive(source: Path, file: IO[bytes]) -> None:
    """Refuses what is no whole zip, though it begins as an archive or is called so."""
    file.seek(0)
    start = file.read(_TAR_MARK.stop)
    if start.startswith(b"PK") or source.suffix.lower() == ".zip":
        raise UserError(f"{source} is damaged or cut off: export it again.")
    if start.startswith(_OTHER_ARCHIVES) or start[_TAR_MARK] == b"ustar":
        raise UserError(f"{source} is an archive, but no zip: unpack it and give the folder.")


def is_picture(name: str) -> bool:
    """Whether the name is that of a picture which is read."""
    return PurePosixPath(name).suffix.lower() in images.SUFFIXES


def has_name(path: str) -> bool:
    """Whether a path ends in the name of a file; ``""`` and ``/`` do not."""
    return bool(PurePosixPath(path).name)


def without_ending(name: str) -> str:
    """A path without the ending of its file: ``drive/000003`` of ``drive/000003.png``."""
    return str(PurePosixPath(name).with_suffix(""))


def unique_names(names: Mapping[str, str]) -> dict[str, str]:
    """By the last part of each path what it stands for, where no other path ends in the same."""
    found: dict[str, list[str]] = {}
    for name, value in names.items():
        found.setdefault(PurePosixPath(name).name, []).append(value)
    return {last: values[0] for last, values in found.items() if len(values) == 1}


def _members(source: Path, archive: zipfile.ZipFile) -> dict[str, str]:
    """The files of an archive: path → name in the archive; refuses what no tool writes."""
    members = archive.infolist()
    if len(members) > MAX_FILES:
        raise UserError(f"{source} holds {len(members)} files and may hold {MAX_FILES}.")
    names: dict[str, str] = {}
    for info in members:
        _check_member(source, info)
        if info.is_dir():
            continue
        # Without the ./ and with the / that some packers write, or do not.
        path = str(PurePosixPath(info.filename.replace("\\", "/")))
        if path in names:
            raise UserError(f"{source} holds two files {path!r}: export it again.")
        names[path] = info.filename
    return {path: name for path, name in names.items() if not _is_hidden(path)}


def _check_member(source: Path, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # as it stands in the archive, before zipfile mends it
    parts = name.replace("\\", "/").split("/")
    if len(parts) > MAX_DEPTH or len(name) > MAX_NAME:
        raise UserError(f"{source} holds {name[:40]!r}..., a path too long or deep: pack anew.")
    leads_out = ".." in parts or not parts[0] or ":" in parts[0]
    if leads_out or "\0" in name:
        raise UserError(f"{source} holds {name!r}, a name that leads elsewhere: it is not read.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(f"{source} holds {name!r}, a link: pack the files themselves.")
    if info.flag_bits & 1:
        raise UserError(f"{source} holds {name!r}, which is encrypted: pack it without a password.")
    if info.compress_type not in _SUPPORTED:
        raise UserError(f"{source} holds {name!r}, packed in another way than deflate: pack anew.")


def _walk(root: Path) -> list[str]:
    found, seen = [], set()
    for folder, inside, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a circle of links
            inside.clear()
            continue
        seen.add(real)
        below = Path(folder).relative_to(root).as_posix()
        inside[:] = [name for name in inside if not _is_hidden(name)]
        prefix = "" if below == "." else f"{below}/"
        found += [prefix + name for name in files if not _is_hidden(name)]
        if len(found) > MAX_FILES:
            raise UserError(f"{root} holds more than {MAX_FILES} files: give the export alone.")
    return found


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
