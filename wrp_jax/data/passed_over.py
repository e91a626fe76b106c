"""What looks like data in a folder of video and is not read: told, never silently left out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wrp_jax.data import images, label_maps
from wrp_jax.files.regular import read_bytes
from wrp_jax.types import UserError

VIDEO_FILES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})
_OTHER_DATA = frozenset(
    {
        *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".exr", ".hdr", ".dng"),
        *(".tga", ".pbm", ".pnm", ".pam", ".npy", ".mat"),
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"),
    }
)
"""Pictures of formats that are not read, arrays and archives."""
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
OF_A_SEQUENCE = frozenset(
    {"frames", "labels", "confidence", "probs", "forward", "backward", "into"}
)
"""Folders in a sequence's folder; predictions and flow are read where options name them."""
_log = logging.getLogger(__name__)


def is_system_file(path: Path) -> bool:
    """Whether a file is left by an operating system or hidden, and no hidden picture."""
    hidden = path.name.startswith(".") and path.suffix.lower() not in images.SUFFIXES
    return hidden or path.name.startswith("._") or path.name.lower() in _SYSTEM_FILES


def looks_like_data(path: Path) -> bool:
    """Whether a file's name is that of pictures, video, arrays or an archive."""
    return path.suffix.lower() in images.SUFFIXES | VIDEO_FILES | _OTHER_DATA


def tell(folder: Path, paths: Sequence[Path], why: str) -> None:
    """Logs one line for all of them.

    Args:
      folder: where they lie.
      paths: what is passed over; nothing is logged for none.
      why: the reason.
    """
    if paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        _log.warning("%s%s in %s passed over: %s", paths[0], more, folder, why)


def existing_folder(path: Path) -> bool:
    """Whether a folder is there.

    Raises:
      UserError: in its place is a file, or a link that leads nowhere.
    """
    if not path.is_dir() and os.path.lexists(path):
        what = "a link that leads to no folder" if path.is_symlink() else "a file"
        raise UserError(f"{path} is {what}: put the folder there, or remove it.")
    return path.is_dir()


def tell_around_sequences(root: Path, sequences: Mapping[str, Path]) -> None:
    """Names what looks like data beside sequences and in them.

    Args:
      root: the folder that was given.
      sequences: the folders that are read, by name; the root itself where it is one sequence.
    """
    for folder in sequences.values():
        _tell_inside(folder, root)
    if root in sequences.values():
        return
    rest = [p for p in _visible(root) if p not in sequences.values()]
    files = [p for p in rest if p.is_file() and looks_like_data(p)]
    tell(root, files, "no part of a sequence; frames belong into <sequence>/frames")
    tell(root, [p for p in rest if _leads_nowhere(p)], "a link that leads nowhere")
    folders = [p for p in rest if p.is_dir() and _holds_pictures(p, levels=2)]
    tell(root, folders, "it holds pictures, but no folder frames")


def tell_beside_frames(folder: Path) -> None:
    """Names the files that look like data in a sequence's folder."""
    files = [p for p in _visible(folder) if p.is_file() and looks_like_data(p)]
    tell(folder, files, "neither in frames nor in labels")


def _tell_inside(folder: Path, root: Path) -> None:
    tell_beside_frames(folder)
    rest = [p for p in _visible(folder) if p.name not in OF_A_SEQUENCE]
    tell(folder, [p for p in rest if _leads_nowhere(p)], "a link that leads nowhere")
    folders = [p for p in rest if p.is_dir() and _holds_pictures(p, levels=1)]
    tell(folder, folders, "of the folders of a sequence, frames and labels are read")
    own, used = folder / label_maps.CLASSES_FILE, root / label_maps.CLASSES_FILE
    if folder != root and own.is_file() and read_bytes(own) != read_bytes(used):
        tell(folder, [own], f"the classes are those of {used}")


def tell_inside_pictures(folder: Path, others: Iterable[Path], *, every: bool) -> None:
    """Names what lies among the pictures of a folder and is none.

    Args:
      folder: of frames or labels.
      others: what lies in it beside the pictures.
      every: name all files; else those alone that look like data.
    """
    others = list(others)
    files = [p for p in others if not p.is_dir() and (every or looks_like_data(p))]
    tell(folder, files, f"not pictures by their names ({' '.join(sorted(images.SUFFIXES))})")
    if every:
        folders = [p for p in others if p.is_dir() and _holds_pictures(p)]
        tell(folder, folders, "folders inside of it are not looked into")


def _visible(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not is_system_file(p))


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _holds_pictures(folder: Path, levels: int = 0) -> bool:
    """Whether a folder holds a picture, or folders in it down to some level do."""
    try:
        with os.scandir(folder) as entries:
            inside = []
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if Path(entry.name).suffix.lower() in images.SUFFIXES:
                    return True
                if levels and entry.is_dir():
                    inside.append(Path(entry.path))
    except OSError:  # not to be read: it was not asked for
        return False
    return any(_holds_pictures(path, levels - 1) for path in inside)
