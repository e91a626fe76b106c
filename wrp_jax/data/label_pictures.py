"""Which ids a label's file means: its samples, its palette's indices, or the colours of classes.

Programs hand labels on as grey pictures of ids, as palettes whose indices are ids, and as colours.
Each is read where it can mean one thing only, and refused where it can mean two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32, UInt8

from wrp_jax.data import images, label_maps
from wrp_jax.data.images import LabelPicture
from wrp_jax.types import KEPT, ClassMap, UserError

_OPAQUE = 255
_SHOWN = 4
_AS_IDS = "save labels as 8-bit grey or palette PNG whose pixel values are the ids of classes.json"


def read_label(
    data: bytes, classes: ClassMap, where: Path | str, max_pixels: int = images.MAX_PIXELS
) -> Int32[np.ndarray, "h w"]:
    """Decodes a label into class indices.

    Args:
      data: the content of the file.
      classes: the class map.
      where: what to name in messages.
      max_pixels: more are refused.

    Raises:
      UserError: as ``images.decode_label``, ``ids_of`` and ``label_maps.ids_to_indices``.
    """
    picture = images.decode_label(data, where, max_pixels)
    return label_maps.ids_to_indices(ids_of(picture, classes, where), classes, where)


def is_partial(
    data: bytes, classes: ClassMap, where: Path | str, max_pixels: int = images.MAX_PIXELS
) -> bool:
    """Whether a label leaves pixels as they are; of one that cannot be read, False.

    Args:
      data: the content of the file.
      classes: the class map.
      where: what to name in messages.
      max_pixels: more are refused.
    """
    if classes.keep is None:
        return False
    try:
        return bool((_with_keep(data, classes, where, max_pixels) == classes.keep).any())
    except UserError:  # told as soon as it is read
        return False


def read_partial(
    data: bytes, classes: ClassMap, where: Path | str, max_pixels: int = images.MAX_PIXELS
) -> Int32[np.ndarray, "h w"]:
    """Decodes a partial label into class indices, ``KEPT`` where it leaves pixels as they are.

    Args:
      data: the content of the file.
      classes: the class map.
      where: what to name in messages.
      max_pixels: more are refused.

    Raises:
      UserError: as ``read_label``.
    """
    ids = _with_keep(data, classes, where, max_pixels)
    kept = ids == classes.keep
    if kept.any():
        ids = np.where(kept, np.asarray(classes.ids[0], ids.dtype), ids)
    return np.where(kept, np.int32(KEPT), label_maps.ids_to_indices(ids, classes, where))


def _with_keep(data: bytes, classes: ClassMap, where: Path | str, max_pixels: int) -> np.ndarray:
    """The ids of a label, ``keep`` among them."""
    class_of = {id_: index for index, id_ in enumerate(classes.ids)}
    if classes.keep is not None:
        class_of[classes.keep] = -1
    return ids_of(images.decode_label(data, where, max_pixels), classes, where, class_of)


def ids_of(
    picture: LabelPicture,
    classes: ClassMap,
    where: Path | str,
    class_of: Mapping[int, int] | None = None,
) -> np.ndarray:
    """The ids of a decoded label.

    Args:
      picture: the label.
      classes: whose colours count.
      where: what to name in messages.
      class_of: class index by file id, -1 for ids that say nothing; that of ``classes`` if None.

    Returns:
      ``[H, W]`` of the file's own type, or of the ids of the classes whose colours it holds.
      Whether ids, bits and numbers are those of a label is for the caller to check.

    Raises:
      UserError: a colour that no class has or that two have, pixels that are not opaque, other
        kinds of colours than RGB; samples of few bits, or three equal channels, that can be read
        in two ways; a palette in another order than the ids (``check_palette``).
    """
    if class_of is None:
        class_of = {id_: index for index, id_ in enumerate(classes.ids)}
    pixels = picture.pixels
    if pixels.ndim == 2:
        if picture.largest < 255:
            _refuse_stretched(picture, class_of, where)
        if picture.palette is not None:
            check_palette(pixels, picture.palette, classes, where, class_of)
        return pixels
    if picture.mode not in ("RGB", "RGBA", "LA"):
        raise UserError(f"{where} is a colour picture of the kind {picture.mode}: {_AS_IDS}.")
    if picture.mode != "RGB":
        refuse_transparent(pixels, where)
        pixels = pixels[..., 0] if picture.mode == "LA" else pixels[..., :3]
    return pixels if pixels.ndim == 2 else _ids_of_colors(pixels, classes, where, class_of)


def check_palette(
    pixels: UInt8[np.ndarray, "h w"],
    palette: UInt8[np.ndarray, "n 3"],
    classes: ClassMap,
    where: Path | str,
    class_of: Mapping[int, int],
) -> None:
    """Refuses a palette whose colours say that its indices are no ids.

    An editor, or a program that reduces colours, keeps the colours and gives the indices anew. A
    palette says nothing where it is taken from elsewhere, at random, or only numbers its colours.
    What tells the two apart is how the colours of the entries *in use* agree with the classes:
    an entry has the colour of its own class, exactly that of another class, or a foreign one. A
    palette is refused where entries with the colour of another class outnumber the foreign ones.
    Foreign palettes meet a colour of a class now and then, and pass since most of their entries
    are foreign; one whose entries are swapped in part is refused. So is one of which two entries
    or more have the colours of other classes and cover more pixels than the foreign ones: these
    are blends along borders.

    Against false alarms besides: ramps of grey and the colour map of PASCAL VOC follow from the
    index, and pass. Black stands at the beginning of most palettes, so that it alone says
    nothing. A colour that several entries in use share says nothing, nor does an entry whose id
    stands for nothing (255 in labels written here). A single entry in use is
    weighed with all entries of the palette, used or not.

    Args:
      pixels: indices.
      palette: RGB of its entries.
      classes: whose colours count.
      where: what to name in messages.
      class_of: as for ``ids_of``.

    Raises:
      UserError: names the entries.
    """
    ids = [id_ for id_, index in class_of.items() if index >= 0 and id_ < len(palette)]
    if (palette[ids] == classes.colors[[class_of[id_] for id_ in ids]]).all():
        return  # as written here: most labels, and the quickest way through
    count = np.bincount(pixels.ravel(), minlength=256)
    present = np.flatnonzero(count[: len(palette)]).tolist()
    colors = {index: _code(palette[index]) for index in present}
    classes_of: dict[int, list[int]] = {}
    for index, color in enumerate(classes.colors):
        classes_of.setdefault(_code(color), []).append(index)
    repeated = {code for code in colors.values() if list(colors.values()).count(code) > 1}
    own, other, foreign = [], [], []
    for index, code in colors.items():
        found, mine = classes_of.get(code, []), class_of.get(index, -1)
        if code in repeated or mine < 0:
            continue
        (own if mine in found else other if found else foreign).append(index)
    moved = [index for index in other if colors[index]]  # black aside
    blended = len(moved) > 1 and count[moved].sum() > count[foreign].sum()
    if not (len(other) > len(foreign) and any(colors[i] for i in own + other)) and not blended:
        return
    if _follows_from_index(palette, classes_of):
        return
    if len(present) == 1:
        entries = {_code(color) for color in palette} - {0x000000, 0xFFFFFF}
        if 2 * len(entries & classes_of.keys()) <= len(entries):
            return
    shown = [
        f"{index} has the colour of {classes.names[classes_of[colors[index]][0]]!r}"
        for index in other[:_SHOWN]
    ]
    more = ", ..." if len(other) > _SHOWN else ""
    raise UserError(
        f"{where} has a palette in another order than the ids of classes.json (entry "
        f"{', '.join(shown)}{more}): {_AS_IDS}, or as RGB PNG of the colours of classes.json."
    )


def find_colors(
    pixels: UInt8[np.ndarray, "h w 3"], colors: UInt8[np.ndarray, "n 3"]
) -> Int32[np.ndarray, "h w"]:
    """Which of some colours each pixel has.

    Args:
      pixels: RGB.
      colors: one or more.

    Returns:
      The place of the first equal colour, -1 for none.
    """
    weights = np.array([1 << 16, 1 << 8, 1], np.int32)
    known, first = np.unique(colors.astype(np.int32) @ weights, return_index=True)
    codes = pixels.astype(np.int32) @ weights
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[place] == codes, first[place], -1).astype(np.int32)


def grey_levels(picture: LabelPicture, where: Path | str) -> UInt8[np.ndarray, "h w"]:
    """The brightness of a grey picture, 0 … 255, whatever its file keeps it as.

    Raises:
      UserError: it has colours, more than 8 bits, or one.
    """
    pixels = picture.pixels
    if picture.palette is not None and pixels.max(initial=0) < len(picture.palette):
        rgb = picture.palette[pixels]
        if (rgb == rgb[..., :1]).all():
            return rgb[..., 0]
    elif picture.mode == "L":
        return np.rint(pixels * (255 / picture.largest)).astype(np.uint8)
    raise UserError(
        f"{where} is {pixels.dtype} {list(pixels.shape)} of the kind {picture.mode}: save it as "
        "8-bit grey PNG."
    )


def _follows_from_index(palette: np.ndarray, classes_of: Mapping[int, list[int]]) -> bool:
    """Whether a palette is grey or VOC's, and not just for being the colours of the classes."""
    palette = palette[: np.flatnonzero(palette.any(axis=1)).max(initial=-1) + 1]  # no padding
    grey = np.repeat(np.arange(len(palette), dtype=np.uint8)[:, None], 3, axis=1)
    rule = any((palette == known[: len(palette)]).all() for known in (grey, _VOC))
    return rule and any(_code(color) not in classes_of for color in palette)


def _refuse_stretched(
    picture: LabelPicture, class_of: Mapping[int, int], where: Path | str
) -> None:
    """Refuses samples of few bits that are ids both as they are and stretched to 0 … 255.

    Programs that make files smaller store the greys 0, 17, 34, … in four bits as 0, 1, 2, …
    """
    samples = np.unique(picture.pixels)
    stretched = np.rint(samples * (255 / picture.largest)).astype(int)
    as_they_are, as_grey = (set(v.tolist()) <= class_of.keys() for v in (samples, stretched))
    if as_grey and as_they_are and (samples != stretched).any():
        n = int(np.argmax(samples != stretched))
        raise UserError(
            f"{where} has samples from 0 to {picture.largest}, so that {samples[n]} can mean the "
            f"id {samples[n]} or the grey {stretched[n]}, both ids of classes.json: save it as "
            "8-bit PNG."
        )


def refuse_transparent(pixels: np.ndarray, where: Path | str) -> None:
    """Refuses pixels whose last channel, the alpha, is not that of opaque ones.

    Raises:
      UserError: there are such pixels.
    """
    clear = pixels[..., -1] != _OPAQUE
    if clear.any():
        y, x = (int(v) for v in np.argwhere(clear)[0])
        raise UserError(
            f"{where} is a colour picture with {int(clear.sum())} pixels that are not opaque, the "
            f"first at row {y}, column {x}: give each pixel the colour of a class, without alpha."
        )


def _ids_of_colors(
    pixels: UInt8[np.ndarray, "h w 3"],
    classes: ClassMap,
    where: Path | str,
    class_of: Mapping[int, int],
) -> UInt8[np.ndarray, "h w"] | np.ndarray:
    """The ids of the classes whose colours the pixels have."""
    id_of = {index: id_ for id_, index in class_of.items()}
    colored = [index for index in range(classes.num_classes) if index in id_of]
    place = find_colors(pixels, classes.colors[colored])
    unknown = place < 0
    if unknown.any():
        y, x = (int(v) for v in np.argwhere(unknown)[0])
        equal = (pixels == pixels[..., :1]).all() and set(np.unique(pixels)) <= class_of.keys()
        hint = "its channels are equal and hold ids: save one of them" if equal else _AS_IDS
        raise UserError(
            f"{where} is a colour picture and has the colour {pixels[y, x].tolist()} at row {y}, "
            f"column {x}, which is none of classes.json ({int(unknown.sum())} pixels have such "
            f"colours): {hint}."
        )
    for first in np.unique(place).tolist():
        color = classes.colors[colored[first]]
        same = [i for i in colored if (classes.colors[i] == color).all()]
        if len(same) > 1:
            raise UserError(
                f"{where} is a colour picture, and the colour {color.tolist()} is that of "
                f"{classes.names[same[0]]!r} and of {classes.names[same[1]]!r} in classes.json: "
                f"{_AS_IDS}."
            )
    ids = np.array([id_of[index] for index in colored])[place]
    grey = pixels[..., 0]
    as_ids = (pixels == grey[..., None]).all() and set(np.unique(grey)) <= class_of.keys()
    if as_ids and (ids != grey).any():
        raise UserError(
            f"{where} is a colour picture of greys that are both ids and colours of "
            "classes.json: save one channel of ids."
        )
    return ids


def _code(color: np.ndarray) -> int:
    red, green, blue = color.tolist()
    return red << 16 | green << 8 | blue


_VOC = label_maps.default_palette()
