"""Pictures of labels: coloured overlays, palette PNGs, maps of errors and confidence.

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

_VIRIDIS = np.array(
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], np.float64
)


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

    Args:
      image: the frame.
      labels: its labels; where nothing is said, the frame stays as it is.
      classes: the colours.
      opacity: of the colours, 0 … 1.
      is_key: draws the frame and the tag that mark a frame labelled by hand.
    """
    mixed = cv2.addWeighted(image, 1.0 - opacity, colorize(labels, classes), opacity, 0.0)
    said = _indices(labels, classes) < classes.num_classes
    out = np.where(said[..., None], mixed, image)
    out[contours(labels)] = 255
    return _mark_key(out) if is_key else out


def palette_png(labels: Integer[np.ndarray, "h w"], classes: ClassMap) -> bytes:
    """A small palette PNG for the screen: contours darkened, transparent where nothing is said.

    Not a label file: pixel values are class indices and contours are drawn in.
    """
    num_classes = classes.num_classes
    dark = (classes.colors * 0.45).astype(np.uint8)
    nothing = np.full((1, 3), 128, np.uint8)
    if 2 * num_classes + 1 > 256:  # too many for a second set of colours
        return _palette_png(
            np.minimum(_indices(labels, classes), 255), np.vstack([classes.colors, nothing])[:256]
        )
    indices = _indices(labels, classes)
    lines = contours(labels) & (indices < num_classes)
    indices = np.where(lines, num_classes + 1 + indices, indices)
    return _palette_png(indices, np.vstack([classes.colors, nothing, dark]), clear=num_classes)


def error_png(
    labels: Integer[np.ndarray, "h w"], truth: Integer[np.ndarray, "h w"], classes: ClassMap
) -> bytes:
    """PNG with wrong pixels in red, truly void ones in grey, right ones transparent."""
    void = np.asarray(classes.void)[truth]
    state = np.where(void, 2, (labels != truth).astype(np.int64))
    colors = np.array([[0, 0, 0], WRONG_COLOR, [128, 128, 128]], np.uint8)
    return _palette_png(state, colors, clear=0)


def confidence_png(confidence: UInt8[np.ndarray, "h w"]) -> bytes:
    """PNG of confidence 0 … 255 in 16 steps of viridis: dark is unsure."""
    at = np.linspace(0, len(_VIRIDIS) - 1, 16)
    steps = [np.interp(at, np.arange(len(_VIRIDIS)), _VIRIDIS[:, c]) for c in range(3)]
    return _palette_png(confidence // 16, np.stack(steps, axis=1).astype(np.uint8))


def jpeg(image: UInt8[np.ndarray, "h w 3"], quality: int = 80) -> bytes:
    """The image as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _indices(labels: np.ndarray, classes: ClassMap) -> np.ndarray:
    """Class indices, and ``num_classes`` where nothing is said."""
    known = (labels >= 0) & (labels < classes.num_classes)
    return np.where(known, labels, classes.num_classes).astype(np.int64)


def _palette_png(indices: np.ndarray, colors: np.ndarray, clear: int | None = None) -> bytes:
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette(colors.astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    options = {} if clear is None else {"transparency": clear}
    picture.save(buffer, "PNG", optimize=True, **options)
    return buffer.getvalue()


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
