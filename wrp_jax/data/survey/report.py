"""What a folder is, what is wrong in it, and the classes that its labels seem to have."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from wrp_jax.data import label_maps
from wrp_jax.data.passed_over import VIDEO_FILES
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.data.survey.films_and_outputs import film_told, output_told
from wrp_jax.data.survey.pictures import Pictures, look_at
from wrp_jax.data.survey.unnamed_classes import VOID, entries, is_mask, unnamed_classes
from wrp_jax.data.tool_formats.recognise import (
    FRAMES,
    OURS,
    OUTPUT,
    PAIRS,
    Recognised,
    label_hint,
    output_hint,
    read_project,
    recognise,
)
from wrp_jax.data.tool_formats.tree import Tree, open_tree
from wrp_jax.data.tool_formats.voc import VOC_NAMES
from wrp_jax.files.strict_json import parse_json
from wrp_jax.types import ClassMap, UserError

FILM = "a video"
_SHOWN = 12
_FOLDERS = 20
"""Of folders that are told one by one."""


def survey(path: Path, limit: int) -> tuple[list[str], int]:
    """Looks at a folder, an archive or a file.

    Args:
      path: it.
      limit: pictures of each folder that are opened at most.

    Returns:
      Lines to print, those of problems with ``!`` in front, and how many problems there are.

    Raises:
      UserError: there is no such thing, or an archive that is refused.
    """
    with open_tree(path) as tree:
        lines, problems, kind = _what(path, tree)
        if kind in (OUTPUT, FILM):  # neither holds frames or labels to learn from
            told, wrong = output_told(path) if kind == OUTPUT else film_told(path, limit)
            lines = lines if told else []  # what to do with a film is no help where it is none
            return [*lines, *told, *(f"! {problem}" for problem in wrong)], len(wrong)
        folders: dict[str, list[str]] = {}
        for name in tree.pictures():
            folders.setdefault(name.rpartition("/")[0], []).append(name)
        found = [look_at(tree, f, names, limit) for f, names in list(folders.items())[:_FOLDERS]]
        if len(folders) > _FOLDERS:
            lines.append(f"{len(folders)} folders of pictures, of which {_FOLDERS} are looked at")
        # Labels of a tool hold its own numbers and colours, which its list of classes explains.
        is_ours = kind in ("", OURS, PAIRS, FRAMES)
        classes, said = _classes(tree) if is_ours else (None, [])
        problems += said
        for pictures in found:
            lines += _told(pictures, classes, guess=is_ours)
            problems += pictures.odd
        problems += _against_frames(found)
        labels = [p for p in found if p.is_labels]
        problems += _against_classes(labels, classes)
        lines += [f"! {problem}" for problem in problems]
        lacks_classes = labels and classes is None and is_ours
        proposal = _proposal(labels) if lacks_classes else {"classes": []}
        if proposal["classes"]:
            lines.append(f"a classes.json to begin with: {json.dumps(proposal)}")
    return lines, len(problems)


def _what(path: Path, tree: Tree) -> tuple[list[str], list[str], str]:
    """A line that says what it is, or a problem if that cannot be told; and its kind."""
    try:
        found = recognise(tree)
    except UserError as error:
        return [], [f"{path}: {error}"], ""
    if found is None:
        if path.suffix.lower() in VIDEO_FILES and path.is_file():
            return [label_hint(path)], [], FILM
        return [], [f"{path} holds no pictures and no export that wrp knows."], ""
    if found.kind == OUTPUT:
        line = output_hint(path)
    elif found.kind == OURS:
        line = f"{path} is a folder that wrp reads: give it as --data"
    elif found.kind == FRAMES:
        line = label_hint(path)
    else:
        lines, problems = _export_told(path, found)
        return lines, problems, found.kind
    return [line], [], found.kind


def _export_told(path: Path, found: Recognised) -> tuple[list[str], list[str]]:
    """What its reader says of an export; the pictures are looked at apart from that."""
    it = shlex.quote(str(path))
    line = f"{path} is an export ({found.kind}): give it as --data, or run 'wrp import {it} D'"
    classes, problems = _classes(found.tree)
    if found.kind == PAIRS and classes is None:
        return [f"{line} --classes=classes.json"], problems
    try:
        project = read_project(found, classes)
    except UserError as error:
        return [line], [*problems, str(error)]
    frames, labels = (_counted(len(p), n) for p, n in
                      ((project.frames, "frame"), (project.labels, "label")))  # fmt: skip
    named = ", ".join(c.name for c in project.classes[:_SHOWN])
    more = ", ..." if len(project.classes) > _SHOWN else ""
    lines = [line, f"{project.kind}: {frames}, {labels}; classes: {named}{more}"]
    alone = [name for name in project.labels if name not in project.frames]
    if alone:
        lines.append(
            f"{_counted(len(alone), 'label')} without a frame here, such as {alone[0]}: give the "
            "frames to wrp import, --frames=FOLDER"
        )
    return lines, problems


def _told(found: Pictures, classes: ClassMap | None, *, guess: bool) -> list[str]:
    """What a folder holds; with a guess at what ids and colours mean, where nothing says that."""
    what = "label" if found.is_labels else "frame"
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.most_common())
    sizes = ", ".join(f"{w}x{h}" for (h, w), _ in found.sizes.most_common(3))
    looked = "" if found.looked_at == len(found.names) else f" ({found.looked_at} looked at)"
    lines = [f"{found.folder or '.'}: {_counted(len(found.names), what)}{looked}: {kinds}; {sizes}"]
    if found.ids:
        meaning = f": {_meaning(set(found.ids), classes)}" if guess else ""
        lines.append(f"  ids {_listed(sorted(found.ids))}{meaning}")
    if found.colors:
        colors = _counted(len(found.colors), "colour")
        lines.append(f"  {colors}{f': {_color_meaning(set(found.colors))}' if guess else ''}")
    for before, after in found.gaps[:3]:
        lines.append(f"  a gap in time between {before} and {after}")
    if len(found.gaps) > 3:
        lines.append(f"  {len(found.gaps)} gaps in time in all")
    return lines


def _meaning(ids: set[int], classes: ClassMap | None) -> str:
    """What set of ids these seem to be; ``classes`` are those of ``classes.json``."""
    if is_mask(ids):
        return "0/255 masks, where 255 is an object: make it an id, such as 1"
    if max(ids) > VOID:
        return "more than labels of 8 bits hold: instances, or depth"
    if classes is not None and ids <= {*classes.ids, classes.keep}:
        kept = f", where {classes.keep} keeps what is propagated" if classes.keep in ids else ""
        return f"ids of classes.json{kept}"
    labels = set(cityscapes_classes().ids)
    train = set(range(19)) | {VOID}
    if ids <= train and len(ids) > 5 and VOID in ids:
        return "as Cityscapes' trainIds (0 to 18, 255 is void) would be"
    if ids <= set(range(34)) and max(ids) > 20 and len(ids & labels) > 5:
        return "as Cityscapes' labelIds (0 to 33) would be"
    if ids <= set(range(21)) | {VOID} and VOID in ids:
        return "as PASCAL VOC's (0 to 20, 255 is void) would be"
    return "ids of your own classes"


def _color_meaning(colors: set[tuple[int, int, int]]) -> str:
    known = {
        "Cityscapes'": {tuple(c) for c in cityscapes_classes().colors.tolist()},
        "PASCAL VOC's": {tuple(c) for c in label_maps.default_palette().tolist()},
    }
    fits = [name for name, theirs in known.items() if colors <= theirs]
    return f"all of them {fits[0]}" if fits else f"such as {sorted(colors)[:3]}"


def _classes(tree: Tree) -> tuple[ClassMap | None, list[str]]:
    if label_maps.CLASSES_FILE not in tree:
        return None, []
    try:
        content = parse_json(tree.read(label_maps.CLASSES_FILE, 2**20))
        where = tree.where(label_maps.CLASSES_FILE)
        return label_maps.parse_classes(content, where), []
    except (UserError, ValueError) as error:
        return None, [f"{label_maps.CLASSES_FILE}: {error}"]


def _against_classes(labels: Sequence[Pictures], classes: ClassMap | None) -> list[str]:
    if classes is None:
        return []
    problems = []
    colors = {tuple(c) for c in classes.colors.tolist()}
    for found in labels:
        outside = sorted(set(found.ids) - {*classes.ids, classes.keep})
        if outside:
            problems.append(
                f"{found.folder} has ids that classes.json does not have: {_listed(outside)}."
            )
        strange = sorted(set(found.colors) - colors)
        if strange:
            problems.append(
                f"{found.folder} has {_counted(len(strange), 'colour')} that no class of "
                f"classes.json has, the first is {list(strange[0])}."
            )
    return problems


def _against_frames(found: Sequence[Pictures]) -> list[str]:
    """Labels without frames, or of another size than these."""
    frames = {PurePosixPath(p.folder).parent: p for p in found if not p.is_labels}
    problems = []
    for labels in found:
        beside = frames.get(PurePosixPath(labels.folder).parent) if labels.is_labels else None
        if beside is None:
            continue
        alone = sorted(set(labels.names) - set(beside.names))
        if alone:
            problems.append(
                f"{labels.folder} has {_counted(len(alone), 'label')} without a frame in "
                f"{beside.folder}, the first is {alone[0]}."
            )
        if labels.sizes and beside.sizes and not set(labels.sizes) & set(beside.sizes):
            (h, w), (fh, fw) = next(iter(labels.sizes)), next(iter(beside.sizes))
            problems.append(f"{labels.folder} is {w}x{h}, the frames {fw}x{fh}: make them equal.")
    return problems


def _proposal(labels: Sequence[Pictures]) -> dict[str, Any]:
    """Classes that fit the ids or colours that were seen."""
    ids = set().union(*(p.ids for p in labels))
    meaning = _meaning(ids, None) if ids else ""
    if "labelIds" in meaning:
        return label_maps.classes_to_json(cityscapes_classes())
    if "trainIds" in meaning:
        theirs = cityscapes_classes()
        names = dict(enumerate(theirs.names[:-1])) | {VOID: theirs.names[-1]}
        colors = dict(enumerate(theirs.colors[:-1].tolist())) | {VOID: [0, 0, 0]}
        return entries(names, colors)
    if "VOC" in meaning:
        names = dict(enumerate(VOC_NAMES)) | {VOID: "void"}
        return entries(names, {VOID: [224, 224, 192]})
    return unnamed_classes(labels)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count != 1 else "")


def _listed(values: Iterable[int]) -> str:
    values = list(values)
    return ", ".join(map(str, values[:_SHOWN])) + (", ..." if len(values) > _SHOWN else "")
