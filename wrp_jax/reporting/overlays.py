"""Pictures of labels: coloured overlays, and maps of errors.

Images uint8 ``[h, w, 3]`` RGB; labels are class indices ``[h, w]``, where anything that is no
class index (``types.UNLABELLED``) means that nothing is said.
"""

from __future__ import annotations

import functools
import io

import cv2
import numpy as np
from jaxtyping import Bool, Integer, UInt8
from PIL import Image

from wrp_jax.types import ClassMap

KEY_COLOR = (255, 196, 0)
"""Marks frames that a person labelled."""

WRONG_COLOR = (230, 30, 60)

VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Of confidence, from 0 to 1 in equal steps: dark is unsure. Told apart by colour-blind readers."""


def contours(labels: Integer[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """True on pixels whose right or lower neighbour has another label: lines one pixel wide."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge


def colorize(labels: Integer[np.ndarray, "h w"], classes: ClassMap) -> UInt8[np.ndarray, "h w 3"]:
    """The class colours; mid-grey where nothing is said."""
    return _colored(labels, classes)[0]


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    labels: Integer[np.ndarray, "h w"],
    classes: ClassMap,
    *,
    opacity: float = 0.5,
    is_key: bool = False,
) -> UInt8[np.ndarray, "h w 3"]:
    """The frame under its class colours, with light contours between labels.

    A black class that is not void is a background, which would darken the frame: the frame stays as
    it is there.

    Args:
      image: the frame.
      labels: its labels; where nothing is said, the frame stays as it is.
      classes: the colours.
      opacity: of the colours, 0 … 1.
      is_key: draws the frame and the tag that mark a frame labelled by hand.
    """
    colors, is_drawn = _colored(labels, classes)
    mixed = cv2.addWeighted(image, 1.0 - opacity, colors, opacity, 0.0)
    out = np.array(image)
    cv2.copyTo(mixed, is_drawn, out)
    cv2.copyTo(np.full_like(out, 255), contours(labels).view(np.uint8), out)
    return _mark_key(out) if is_key else out


def error_png(
    labels: Integer[np.ndarray, "h w"], truth: Integer[np.ndarray, "h w"], classes: ClassMap
) -> bytes:
    """PNG with wrong pixels in red, truly void ones in grey, right ones transparent."""
    void = np.asarray(classes.void)[truth]
    state = np.where(void, 2, (labels != truth).astype(np.int64))
    picture = Image.fromarray(state.astype(np.uint8))
    picture.putpalette(bytes((0, 0, 0, *WRONG_COLOR, 128, 128, 128)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    return buffer.getvalue()


def jpeg(image: UInt8[np.ndarray, "h w 3"], quality: int = 80) -> bytes:
    """The image as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _colored(
    labels: np.ndarray, classes: ClassMap
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """The class colours, and 255 where an overlay shows them."""
    is_drawn = classes.colors.any(axis=1) | np.asarray(classes.void)
    table = np.full((classes.num_classes + 1, 4), [128, 128, 128, 0], np.uint8)
    table[:-1, :3], table[:-1, 3] = classes.colors, 255 * is_drawn
    known = (labels >= 0) & (labels < classes.num_classes)
    # Colour and mask of a pixel are read together, as one number.
    found = table.view(np.uint32)[:, 0][np.where(known, labels, classes.num_classes)]
    both = found.view(np.uint8).reshape(*labels.shape, 4)
    return np.asarray(cv2.cvtColor(both, cv2.COLOR_RGBA2RGB)), np.ascontiguousarray(both[..., 3])


def _mark_key(image: np.ndarray) -> np.ndarray:
    """A border, and the word on pictures that have room for it."""
    height, width = image.shape[:2]
    border = max(1, min(height, width) // 60)
    out = np.ascontiguousarray(image)
    cv2.rectangle(out, (0, 0), (width - 1, height - 1), KEY_COLOR, 2 * border - 1)
    if min(height, width) >= 96:
        tag = _tag(min(height, width) / 480 + 0.2, border)
        rows, columns = min(height, len(tag)), min(width, tag.shape[1])
        out[:rows, :columns] = tag[:rows, :columns]
    return out


@functools.cache  # OpenCV reads its font anew in each thread, which takes longer than a frame
def _tag(scale: float, border: int) -> UInt8[np.ndarray, "h w 3"]:
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), base = cv2.getTextSize("labelled", font, scale, 1)
    size = height + base + 4 * border + 1, width + 4 * border + 1
    tag = np.full((*size, 3), KEY_COLOR, np.uint8)
    place = 2 * border, height + 2 * border
    cv2.putText(tag, "labelled", place, font, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return tag
