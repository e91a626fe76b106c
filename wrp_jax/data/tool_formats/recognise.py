"""Which tool has written an export, by its content."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path, PurePosixPath
from typing import Any

from wrp_jax.data.passed_over import VIDEO_FILES
from wrp_jax.data.tool_formats import coco, cvat_xml, davis, label_studio, picture_pairs, voc
from wrp_jax.data.tool_formats.cityscapes_tree import FRAMES as CITYSCAPES_FRAMES
from wrp_jax.data.tool_formats.cityscapes_tree import LABELS as CITYSCAPES_LABELS
from wrp_jax.data.tool_formats.cityscapes_tree import read_cityscapes_tree
from wrp_jax.data.tool_formats.project import Project
from wrp_jax.data.tool_formats.tree import ARCHIVES, MAX_TEXT, Tree, is_picture, open_tree
from wrp_jax.files.output import RUN_FILE
from wrp_jax.files.strict_json import parse_json
from wrp_jax.types import ClassMap, UserError

CVAT_XML, LABEL_STUDIO, COCO = "CVAT's XML", "Label Studio", "COCO"
MASKS, CITYSCAPES, DAVIS = "CVAT or PASCAL VOC", "Cityscapes", "DAVIS"
PAIRS, FRAMES, OURS = "images beside labels", "frames", "the folder of wrp"
OUTPUT = "an output of wrp propagate"
KNOWN = (
    "CVAT (segmentation masks, CVAT for images), PASCAL VOC, COCO (panoptic, instances, stuff), "
    "Label Studio (JSON, brush masks beside it), Cityscapes, DAVIS, images "
    "beside labels, folders of frames, videos"
)


@dataclasses.dataclass(frozen=True)
class Recognised:
    """What an export is.

    Attributes:
      kind: one of the names above.
      tree: where its folders are at the root.
      contents: of the JSON or XML that it consists of, by path; XML as bytes.
    """

    kind: str
    tree: Tree
    contents: dict[str, Any]


def recognise(tree: Tree) -> Recognised | None:
    """Finds out which tool has written an export; None if it is none that is read.

    Folders around the whole export, as archives have them, are passed.

    Raises:
      UserError: a JSON or XML that cannot be read; folders that are exports each.
    """
    while True:
        found = _at_root(tree)
        inside = tree.folders()
        others = [name for name in tree.files if "/" not in name and is_picture(name)]
        if found is not None or len(inside) != 1 or others:
            if found is None:
                _refuse_several(tree)  # whose labels would pass for frames
            return found or _pictures(tree)
        deeper = tree.inside(next(iter(inside)))
        if not deeper.folders() and all(map(is_picture, deeper.files)):
            return _pictures(tree)
        tree = deeper


def _refuse_several(tree: Tree) -> None:
    for folder in sorted(tree.folders()):
        found = _at_root(tree.inside(folder))
        if found is not None and found.kind not in (OURS, OUTPUT):
            raise UserError(
                f"{tree.where(folder)} is an export of its own ({found.kind}) beside others: "
                "import each folder by itself."
            )


def not_known(path: Path, tree: Tree) -> str:
    """That nothing here is an export, and what to give instead."""
    if not tree.files:
        return f"{path} holds no files: export it again."
    packed = next((f for f in tree.files if f.lower().endswith(ARCHIVES)), None)
    films = [f for f in tree.files if PurePosixPath(f).suffix.lower() in VIDEO_FILES]
    if packed and packed != path.name:
        return f"{path} holds an archive, {packed}: unpack {path.name} and give that."
    if films and films[0] != path.name:
        return f"{path} holds videos, such as {films[0]}: give one of them."
    return f"{path} is no export that wrp import knows. It reads {KNOWN}."


def _at_root(tree: Tree) -> Recognised | None:
    folders = tree.folders()
    if _is_output(tree):
        return Recognised(OUTPUT, tree, {})
    for name in tree.files:
        if "/" not in name and name.lower().endswith(".xml"):
            data = tree.read(name, MAX_TEXT)
            if cvat_xml.is_cvat_xml(data):
                return Recognised(CVAT_XML, tree, {name: data})
    if voc.LABELS in folders or (voc.FRAMES in folders and voc.LABEL_MAP in tree):
        return Recognised(MASKS, tree, {})
    if CITYSCAPES_LABELS in folders or folders & set(CITYSCAPES_FRAMES):
        return Recognised(CITYSCAPES, tree, {})
    if {davis.FRAMES, davis.LABELS} <= folders and tree.pictures(davis.LABELS):
        return Recognised(DAVIS, tree, {})
    found = _json(tree)
    if found is not None:
        return found
    if any(label_studio.MASK_FILE.fullmatch(PurePosixPath(f).name) for f in tree.files):
        raise UserError(
            f"{tree.source} holds Label Studio's masks, which do not say of which frames they are: "
            "put its JSON export beside them."
        )
    if any(
        len(parts := PurePosixPath(f).parts) in (2, 3) and parts[-2] == "frames" for f in tree.files
    ):
        return Recognised(OURS, tree, {})
    if picture_pairs.pair_of_folders(tree):
        return Recognised(PAIRS, tree, {})
    return None


def _is_output(tree: Tree) -> bool:
    """Whether ``run.json`` is one of ``wrp propagate``: its overlays would pass for frames."""
    if RUN_FILE not in tree:
        return False
    try:
        run = parse_json(tree.read(RUN_FILE, MAX_TEXT))
    except ValueError:
        return False  # told where JSON is looked for
    return isinstance(run, dict) and {"methods", "protocol", "windows"} <= run.keys()


def _json(tree: Tree) -> Recognised | None:
    contents = {}
    for name in tree.files:
        folder = name.rpartition("/")[0]
        if not name.lower().endswith(".json") or folder not in ("", "annotations"):
            continue
        try:
            content = parse_json(tree.read(name, MAX_TEXT))
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{tree.where(name)} cannot be read as JSON ({reason}): export it again."
            ) from error
        if label_studio.is_label_studio(content):
            return Recognised(LABEL_STUDIO, tree, {name: content})
        if coco.is_coco(content):
            contents[name] = content
    return Recognised(COCO, tree, contents) if contents else None


def _pictures(tree: Tree) -> Recognised | None:
    return Recognised(FRAMES, tree, {}) if tree.pictures() else None


def read_project(found: Recognised, classes: ClassMap | None) -> Project:
    """Reads what was recognised.

    Args:
      found: as ``recognise`` gives it; neither ``OURS`` nor ``OUTPUT``.
      classes: of pairs of folders, whose labels do not say theirs.

    Raises:
      UserError: what the reader of the format finds wrong.
    """
    tree = found.tree
    if found.kind == CVAT_XML:
        return cvat_xml.read_cvat_xml(tree, next(iter(found.contents)))
    if found.kind == MASKS:
        return voc.read_voc(tree)
    if found.kind == CITYSCAPES:
        return read_cityscapes_tree(tree)
    if found.kind == DAVIS:
        return davis.read_davis(tree)
    if found.kind == LABEL_STUDIO:
        name, tasks = next(iter(found.contents.items()))
        return label_studio.read_label_studio(tree, name, tasks)
    if found.kind == COCO:
        return coco.read_coco(tree, found.contents)
    if found.kind == PAIRS:
        folders = picture_pairs.pair_of_folders(tree)
        assert folders is not None
        return picture_pairs.read_pairs(tree, folders, classes)
    return picture_pairs.read_frames(tree)


def ours_hint(path: Path) -> str:
    """What to do with our own layout where an export is expected."""
    if path.is_file():
        return f"{path} is an archive of a folder that wrp reads: unpack it, then give --data."
    return f"{path} is a folder that wrp reads: give it as --data."


def output_hint(path: Path) -> str:
    """What to do with an output that is given as an input."""
    it = shlex.quote(str(path))
    data = "" if (path / "imported").is_dir() else " --data=D"
    return (
        f"{path} is {OUTPUT}: 'wrp view {it}' shows it, 'wrp export {it} DEST --to=…{data}' takes "
        f"its labels to a tool, 'wrp propagate --verify --output={it}' checks its files."
    )


def label_hint(path: Path) -> str:
    """What to do with a video file, or a folder of frames alone, where labels are needed."""
    what = "is a video" if path.suffix.lower() in VIDEO_FILES else "holds frames"
    it = shlex.quote(str(path))
    return (
        f"{path} {what} without labels: 'wrp propagate --data={it} --label=000010.png' "
        f"labels it from the label of one frame; or run 'wrp import {it} D', put labels into "
        "D/<sequence>/labels, and give --data=D."
    )


def export_hint(path: Path) -> str:
    """What to do with an export where one cannot be given; empty if it is none.

    Args:
      path: as it was given.
    """
    if path.suffix.lower() in VIDEO_FILES and path.is_file():
        return label_hint(path)
    try:
        with open_tree(path) as tree:
            found = recognise(tree)
    except UserError:
        return ""
    if found is None or found.kind in (OURS, FRAMES):
        return ""
    if found.kind == OUTPUT:
        return output_hint(path)
    it = shlex.quote(str(path))
    return f"{path} is an export ({found.kind}): run 'wrp import {it} D', then give D in its place."
