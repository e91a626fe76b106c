"""Pictures of labels: coloured overlays, and maps of errors.

Images uint8 ``[h, w, 3]`` RGB; labels are class indices ``[h, w]``, where anything that is no
class index (``types.UNLABELLED``) means that nothing is said.
"""

from __future__ import annotations

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
    table = np.vstack([classes.colors, [[128, 128, 128]]]).astype(np.uint8)
    return table[_indices(labels, classes)]


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
    mixed = cv2.addWeighted(image, 1.0 - opacity, colorize(labels, classes), opacity, 0.0)
    is_drawn = np.append(classes.colors.any(axis=1) | np.asarray(classes.void), False)
    said = is_drawn[_indices(labels, classes)]
    out = np.where(said[..., None], mixed, image)
    out[contours(labels)] = 255
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


def _indices(labels: np.ndarray, classes: ClassMap) -> np.ndarray:
    """Class indices, and ``num_classes`` where nothing is said."""
    known = (labels >= 0) & (labels < classes.num_classes)
    return np.where(known, labels, classes.num_classes).astype(np.int64)


def _mark_key(image: np.ndarray) -> np.ndarray:
    """A border, and the word on pictures that have room for it."""
    height, width = image.shape[:2]
    border = max(1, min(height, width) // 60)
    out = np.ascontiguousarray(image)
    cv2.rectangle(out, (0, 0), (width - 1, height - 1), KEY_COLOR, 2 * border - 1)
    if min(height, width) >= 96:
        scale = min(height, width) / 480 + 0.2
        (tw, th), base = cv2.getTextSize("labelled", cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        cv2.rectangle(out, (0, 0), (tw + 4 * border, th + base + 4 * border), KEY_COLOR, -1)
        cv2.putText(
            out,
            "labelled",
            (2 * border, th + 2 * border),
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return out
