"""Writes the export of an annotation tool as a folder of frames and labels (see ``folder``).

The same mechanism as for public data sets: frames are linked, or written where they come out of an
archive; what is there as it was written is kept. Beyond that, a label that somebody has changed in
the folder since, or has made there, is never written over.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from wrp_jax.data import label_maps, passed_over
from wrp_jax.data.public_sets.convert import Written, convert_set, write_set
from wrp_jax.data.public_sets.public_set import Packed, PublicSet
from wrp_jax.data.tool_formats.film import TIMES_FILE, Film
from wrp_jax.data.tool_formats.label_files import GivenLabel, parse_label, with_labels
from wrp_jax.data.tool_formats.project import to_set
from wrp_jax.data.tool_formats.recognise import (
    CITYSCAPES,
    FRAMES,
    OURS,
    OUTPUT,
    not_known,
    ours_hint,
    output_hint,
    read_project,
    recognise,
)
from wrp_jax.data.tool_formats.tree import Tree, open_tree
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import sole_writer
from wrp_jax.files.output import check_name, check_output
from wrp_jax.files.strict_json import parse_json
from wrp_jax.files.verify import check_free, check_unchanged
from wrp_jax.types import ClassMap, MachineError, UserError

_DEFAULT_NAME = "video"


def import_project(
    source: Path,
    output: Path,
    *,
    frames: Path | None = None,
    classes: Path | None = None,
    void: Collection[str] = (),
    partial: bool = False,
    labels: Sequence[str] = (),
) -> str:
    """Writes the folder.

    Args:
      source: a folder, an archive or a file that a tool has written.
      output: the folder to write.
      frames: a folder or archive of frames, for exports that hold none.
      classes: a ``classes.json`` whose ids labels get, by the names of classes.
      void: names of classes that are void, where the export does not say.
      partial: of a video that is broken, take the frames before the break.
      labels: of a video or a folder of frames, ``PATH`` or ``FRAME:PATH`` of each, see
        ``label_files``.

    Returns:
      What was done, in a sentence or more.

    Raises:
      UserError: the export is none that is read, or is broken; it lacks frames; labels hold what
        its list of classes does not have; files in ``output`` were changed since they were written.
      MachineError: the disk has no room for the frames of an archive.
    """
    check_output(output, source if source.is_dir() else None)
    given = [parse_label(text) for text in labels]
    listed = None if classes is None else label_maps.read_classes(classes)
    if source.is_file() and source.suffix.lower() in passed_over.VIDEO_FILES:
        return _import_film(source, output, given, listed, partial=partial)
    with open_tree(source) as whole:
        found = recognise(whole)
        if found is None:
            raise UserError(not_known(source, whole))
        if found.kind == OUTPUT:
            raise UserError(output_hint(source))
        if given and found.kind != FRAMES:
            raise UserError(
                f"--label goes with a video or a folder of its frames, and {source} is "
                f"{found.kind}: leave --label out, and put labels where the others lie."
            )
        if found.kind == OURS:
            raise UserError(ours_hint(source))
        own = _own_classes(found.tree)
        known = listed or own
        if found.kind == CITYSCAPES and known is None and source.is_dir() and frames is None:
            root = found.tree.origin("x").parent  # snippets and lists of the set itself
            return convert_set("cityscapes", root, output)
        project = read_project(found, own or known)
        name = sequence_name(source)
        with _open(frames) as further:
            result = to_set(
                project, found.tree, name=name, frames=further, classes=known, void=void
            )
            if given:
                result = with_labels(result, given, known)
            with sole_writer(output, "D"):
                sequences = (picture.sequence for picture in result.pictures)
                check_free(output, (*sequences, label_maps.CLASSES_FILE))
                check_unchanged(output)
                _check_room(source, result, output)
                written = write_set(source.name, result, output, {"import": project.kind})
    return _sentence(written, project.kind, output)


def _import_film(
    source: Path,
    output: Path,
    labels: Sequence[GivenLabel],
    classes: ClassMap | None,
    *,
    partial: bool,
) -> str:
    film = Film(source, partial=partial)
    sequence = sequence_name(source)
    check_name(sequence)
    found = film.set_of_frames(sequence)
    if labels:
        found = with_labels(found, labels, classes)
    with sole_writer(output, "D"):
        own = (label_maps.CLASSES_FILE,) if labels else ()
        check_free(output, (sequence, *own))
        check_unchanged(output)
        written = write_set(source.name, found, output, {"import": "video", "file": source.name})
        write_atomically(output / sequence / TIMES_FILE, film.times_file())
    return _sentence(written, "video", output)


def _check_room(source: Path, found: PublicSet, output: Path) -> None:
    """Refuses an archive whose frames have no room on the disk, before any of them is written.

    Raises:
      MachineError: it says how much they take, and how much is free.
    """
    needed = 0
    for picture in found.pictures:
        frame = picture.frame
        if isinstance(frame, Packed):
            path = output / picture.sequence / "frames" / f"{picture.name}{frame.suffix}"
            needed += 0 if path.exists() else frame.size
    free = shutil.disk_usage(output).free
    if needed > free:
        raise MachineError(
            f"{source} unpacks to {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free on the "
            f"disk of {output}: make room there."
        )


def sequence_name(source: Path) -> str:
    """What an export is called: the sequence of its frames that lie in no folder."""
    name = source.resolve().stem.lstrip(".")
    return _DEFAULT_NAME if name in ("", "frames", "labels", "images") else name


class _NoTree:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _open(frames: Path | None) -> Tree | _NoTree:
    return _NoTree() if frames is None else open_tree(frames)


def _own_classes(tree: Tree) -> ClassMap | None:
    """The class map of a ``classes.json`` in the export, such as ``wrp export`` writes."""
    if label_maps.CLASSES_FILE not in tree:
        return None
    where = tree.where(label_maps.CLASSES_FILE)
    try:
        return label_maps.parse_classes(parse_json(tree.read(label_maps.CLASSES_FILE)), where)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(
            f"{where} cannot be read as JSON ({error}): correct or remove it."
        ) from error


def _sentence(written: Written, kind: str, output: Path) -> str:
    what = f"{written.frames} frames, {written.labels} of them with labels, from {kind}"
    if not written.made:
        return f"{output} is unchanged: {what}."
    total = written.frames + written.labels
    again = "" if written.made == total else f"; {written.made} of {total} files are new or changed"
    return f"{output} holds {what}{again}."
