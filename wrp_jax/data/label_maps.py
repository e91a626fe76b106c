"""The class map of a data set: ``classes.json``, and the way between file ids and class indices.

``classes.json`` holds ``{"classes": [{"id": 0, "name": "road", "color": [128, 64, 128],
"void": false}, ...], "void_id": null}``. ``color`` and ``void`` may be left out; ``void_id``
names the void class a second time and must agree, as ``num_classes`` must where it is given.
``keep`` is the id of pixels that a partial label leaves as they are.
Names are taken without the spaces around them. Other keys mean nothing and are told.

Ids are checked here, on the host: on the device a gather clamps what lies outside of its
table, and a wrong id would become a wrong class without a word.
"""

from __future__ import annotations

import difflib
import logging
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.files.regular import read_bytes
from wrp_jax.files.strict_json import MAX_BYTES, parse_json
from wrp_jax.types import UNLABELLED, ClassMap, UserError

CLASSES_FILE = "classes.json"
_REMARKS = {"note", "comment", "remark", "description", "license", "licence", "source", "version"}
_log = logging.getLogger(__name__)
_warned: set[tuple[str, str]] = set()

NO_CLASSES = ClassMap((), (), np.zeros((0, 3), np.uint8), ())
"""Of a video without labels."""
_MAX_KEYS = 100  # each unknown one is compared and told
_EXAMPLE = (
    '{"classes": [{"id": 0, "name": "road", "color": [128, 64, 128]}, '
    '{"id": 255, "name": "void", "color": [0, 0, 0], "void": true}]}'
)


def read_classes(path: Path) -> ClassMap:
    """Reads and checks a ``classes.json``.

    Args:
      path: the file.

    Returns:
      The class map, classes in the order of the file.

    Raises:
      UserError: the file is missing, is no JSON, or breaks one of the rules of
        ``parse_classes``.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: write one like {_EXAMPLE}.")
    text = read_bytes(path, MAX_BYTES)
    try:
        content = parse_json(text)
    except ValueError as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"{path} cannot be read as JSON ({reason}): compare {_EXAMPLE}.") from error
    return parse_classes(content, str(path))


def check_keys(entry: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuses keys that are known ones misspelt, and tells of others, which mean nothing here.

    Remarks (``note``, ``license``, ``_anything``, ...) are no keys to tell of.

    Args:
      entry: an object of JSON.
      known: the keys that are read.
      where: what to name in messages.

    Raises:
      UserError: a key differs from a known one in case, spaces or British spelling alone, or
        there are hundreds.
    """
    if len(entry) > _MAX_KEYS:
        raise UserError(f"{where} has an object of {len(entry)} keys: compare {_EXAMPLE}.")
    plain = {_plain(key): key for key in known}
    for key in entry.keys() - set(known):
        if _plain(key) in plain:
            raise UserError(f"{where} has the key {key!r}: write it as {plain[_plain(key)]!r}.")
        close = difflib.get_close_matches(_plain(key), plain, n=1)
        hint = f"; did you mean {plain[close[0]]!r}?" if close else ""
        remark = key.startswith("_") or _plain(key).removesuffix("s") in _REMARKS
        # One line for each key, not for each class.
        if not remark and (where, key) not in _warned:
            _warned.add((where, key))
            _log.warning("%s: the key %r is passed over%s", where, key, hint)


def _plain(key: str) -> str:
    return re.sub(r"[\W_]", "", key).lower().replace("colour", "color")


def parse_classes(content: Any, where: str) -> ClassMap:
    """Checks the content of a ``classes.json``.

    Args:
      content: the parsed JSON.
      where: what to name in messages.

    Returns:
      The class map.

    Raises:
      UserError: no class, an id that is not a whole number 0 … 255 or occurs twice, id 255
        on a class that is not void (255 stands for "nothing known" in written labels), an
        empty or repeated name, a misspelt key, a colour that is not three numbers 0 … 255, a
        ``void_id`` that contradicts the classes, or a ``keep`` that is no id, or that of a class.
    """
    entries = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise UserError(f'{where} has no list "classes": write it like {_EXAMPLE}.')
    if len(entries) > 256:
        raise UserError(f"{where} has {len(entries)} classes: labels of 8 bits tell 256 apart.")
    void_id = content.get("void_id")
    if void_id is not None and not _is_byte(void_id):
        raise UserError(
            f"{where} has void_id {reprlib.repr(void_id)}: give the id of the void class, or null."
        )
    check_keys(content, ("classes", "void_id", "num_classes", "keep"), where)
    if content.get("num_classes", len(entries)) != len(entries):
        raise UserError(
            f"{where} has num_classes {reprlib.repr(content['num_classes'])} and {len(entries)} "
            "classes: correct it, or leave it out."
        )
    ids, names, colors, void = [], [], [], []
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            check_keys(entry, ("id", "name", "color", "void"), where)
        if not isinstance(entry, dict) or not _is_byte(entry.get("id")):
            raise UserError(
                f"{where}: class number {number} needs an id, a whole number from 0 to 255."
            )
        name = entry.get("name")
        name = name.strip() if isinstance(name, str) else ""
        if not name or not name.isprintable():
            raise UserError(f"{where}: the class with id {entry['id']} needs a name in one line.")
        color = entry.get("color", default_palette()[entry["id"]].tolist())
        if not isinstance(color, list) or len(color) != 3 or not all(map(_is_byte, color)):
            raise UserError(
                f"{where}: the color of class {name!r} must be three whole numbers from 0 to 255."
            )
        is_void = entry.get("void", entry["id"] == void_id)
        if not isinstance(is_void, bool):
            raise UserError(f"{where}: void of class {name!r} must be true or false.")
        if entry["id"] == void_id and not is_void:
            raise UserError(
                f"{where}: void_id is {void_id} but class {name!r} with that id has void false; "
                "make the two agree."
            )
        if entry["id"] == UNLABELLED and not is_void:
            raise UserError(
                f"{where}: id 255 marks pixels without a label and can belong to a void class "
                f"only; give class {name!r} another id."
            )
        ids.append(entry["id"])
        names.append(name)
        colors.append(color)
        void.append(is_void)
    for what, values in (("id", ids), ("name", names)):
        repeated = next((v for v in values if values.count(v) > 1), None)
        if repeated is not None:
            raise UserError(f"{where}: the {what} {repeated!r} is used by more than one class.")
    if void_id is not None and void_id not in ids:
        raise UserError(f"{where}: void_id {void_id} is not the id of any class.")
    if all(void):
        raise UserError(f"{where}: every class is void; at least one must not be.")
    keep = content.get("keep")
    if keep is not None and (not _is_byte(keep) or keep in ids):
        raise UserError(
            f"{where} has keep {reprlib.repr(keep)}: give a whole number from 0 to 255 that is not "
            "the id of a class, for pixels that a partial label leaves as they are."
        )
    return ClassMap(tuple(ids), tuple(names), np.array(colors, np.uint8), tuple(void), keep)


def classes_to_json(classes: ClassMap) -> dict[str, Any]:
    """The content of a ``classes.json`` of whole labels; ``parse_classes`` reads it back.

    ``keep`` is left out: what was trained and written does not depend on it.
    """
    rows = zip(classes.ids, classes.names, classes.colors.tolist(), classes.void, strict=True)
    void = classes.void_index
    return {
        "classes": [{"id": i, "name": n, "color": c, "void": v} for i, n, c, v in rows],
        "void_id": None if void is None else classes.ids[void],
    }


def same_classes(a: ClassMap, b: ClassMap) -> bool:
    """Whether ids, names and void agree; colours are taste."""
    return (a.ids, a.names, a.void) == (b.ids, b.names, b.void)


def ids_to_indices(
    label: np.ndarray, classes: ClassMap, path: Path | str
) -> Int32[np.ndarray, "h w"]:
    """Turns the ids of a label file into class indices, and checks them.

    Args:
      label: the picture as decoded, integers ``[H, W]``; anything else is refused.
      classes: the class map.
      path: what to name in messages.

    Returns:
      Class indices, 0 … num_classes-1.

    Raises:
      UserError: colours instead of ids, a 1-bit or 0/255 mask, numbers that are not whole,
        or ids that the class map does not have (how many pixels, and the first of them).
    """
    if label.ndim != 2:
        raise UserError(
            f"{path} is a colour picture ({'x'.join(map(str, label.shape))}): save labels as "
            "8-bit grey or palette PNG whose pixel values are the ids of classes.json."
        )
    if label.dtype == bool:
        raise UserError(
            f"{path} is a 1-bit mask, which reads as 0 and 255 or as 0 and 1 depending on the "
            f"program: save it as 8-bit PNG with ids of classes.json ({_short(classes.ids)})."
        )
    if not np.issubdtype(label.dtype, np.integer):
        raise UserError(
            f"{path} holds {label.dtype} numbers: save labels as 8-bit grey or palette PNG "
            "whose pixel values are the ids of classes.json."
        )
    table = np.full(257, -1, np.int32)
    table[np.array(classes.ids)] = np.arange(classes.num_classes)
    # Entry 256 stands for everything that no 8-bit file can hold.
    inside = label if label.dtype == np.uint8 else np.where((label < 0) | (label > 255), 256, label)
    indices = table[inside]
    if label.size and indices.min() < 0:
        raise UserError(_outside_message(label, indices < 0, classes, path))
    return indices


def indices_to_ids(indices: np.ndarray, classes: ClassMap) -> UInt8[np.ndarray, "h w"]:
    """Turns class indices into file ids; ``UNLABELLED`` stays 255.

    Args:
      indices: integers ``[H, W]``, 0 … num_classes-1 or ``UNLABELLED``.
      classes: the class map.

    Raises:
      ValueError: another value; a mistake of the program, not of the user.
    """
    table = np.full(256, -1, np.int16)
    table[: classes.num_classes] = classes.ids
    if classes.num_classes <= UNLABELLED:
        table[UNLABELLED] = UNLABELLED
    if indices.size and (indices.min() < 0 or indices.max() > 255):
        raise ValueError(f"class indices run from {indices.min()} to {indices.max()}")
    ids = table[indices]
    if ids.size and ids.min() < 0:
        wrong = int(indices[ids < 0].flat[0])
        raise ValueError(f"class index {wrong} of {classes.num_classes} classes")
    return ids.astype(np.uint8)


def palette(classes: ClassMap) -> UInt8[np.ndarray, "256 3"]:
    """RGB per file id: the colours of the classes, else black, and white for a free 255.

    No two classes have the same colour, so that pictures tell them apart: of two with one colour
    the later gets another, a void one before any other.
    """
    colors = np.zeros((256, 3), np.uint8)
    spare = iter(default_palette()[::-1].tolist())  # from the end: light ones, which few sets have
    taken = {tuple(color) for color in classes.colors.tolist()}
    used: set[tuple[int, ...]] = set()
    rows = zip(classes.void, classes.ids, classes.colors.tolist(), strict=True)
    wanted = [(id_, tuple(color)) for _, id_, color in sorted(rows, key=lambda row: row[0])]
    if UNLABELLED not in classes.ids:
        wanted.append((UNLABELLED, (255, 255, 255)))
    for id_, color in wanted:
        if color in used:
            color = next(tuple(c) for c in spare if tuple(c) not in taken | used)
        used.add(color)
        colors[id_] = color
    return colors


def default_palette() -> UInt8[np.ndarray, "256 3"]:
    """The colour map of PASCAL VOC: bits of the id dealt out to R, G and B from the top."""
    ids = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((ids >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors


def _outside_message(
    label: np.ndarray, outside: np.ndarray, classes: ClassMap, path: Path | str
) -> str:
    count, values = int(outside.sum()), np.unique(label[outside])
    y, x = (int(v) for v in np.argwhere(outside)[0])
    pixels = f"{count} pixel{'s' if count > 1 else ''}"
    first = f"the first is {int(label[y, x])} at row {y}, column {x}"
    if set(np.unique(label).tolist()) <= {0, 255}:
        return (
            f"{path} is a 0/255 mask and 255 is not an id of classes.json ({pixels}; {first}): "
            "save it with ids, or add a void class with id 255 if 255 means 'ignore'."
        )
    told = f"{path} has {pixels} with ids outside classes.json ({_short(values.tolist())}; {first})"
    if classes.keep is None and len(values) == 1 and 0 <= values[0] <= 255:
        return (
            f"{told}: correct the label; or add to classes.json a class of this id, or "
            f'"keep": {values[0]} if it marks pixels that a partial label leaves as they are.'
        )
    return f"{told}: add these ids to classes.json or correct the label."


def _short(values: tuple[int, ...] | list[int]) -> str:
    shown = ", ".join(str(v) for v in values[:8])
    return shown + (", ..." if len(values) > 8 else "")


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
