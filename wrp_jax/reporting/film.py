"""Film strips: every method over the frames of one window, as small pictures for the report."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8

from wrp_jax.reporting import overlays
from wrp_jax.types import ClassMap

MAX_PIXELS = 120_000
"""Pictures above this area are scaled down: it bounds the size of the report."""
MAX_FRAMES = 41
SHOWN = (-10, -5, -2, 0, 2, 5, 10)
"""Distances that the strip shows before all frames are asked for."""


@dataclasses.dataclass(frozen=True)
class WindowPictures:
    """One window as the report shows it.

    Attributes:
      sequence, key: its sequence and labelled frame, or both of them.
      names, distances: per frame, in order; distances are signed, to the nearest labelled frame.
      images: uint8 ``[n, h, w, 3]`` RGB.
      labels: by method, class indices ``[n, h, w]``.
      confidence: of the main method, uint8 ``[n, h, w]``, or None.
      truth: class indices ``[n, h, w]``, read where ``has_truth``.
      has_truth: per frame.
      flow: colours of the flow towards the labelled frame, RGB, or None.
    """

    sequence: str
    key: str
    names: tuple[str, ...]
    distances: tuple[int, ...]
    images: UInt8[np.ndarray, "n h w 3"]
    labels: Mapping[str, Integer[np.ndarray, "n h w"]]
    confidence: UInt8[np.ndarray, "n h w"] | None
    truth: Integer[np.ndarray, "n h w"]
    has_truth: Bool[np.ndarray, "n"]
    flow: UInt8[np.ndarray, "n h w 3"] | None = None


def picture_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which the report shows a frame: at most ``MAX_PIXELS``."""
    scale = min(1.0, (MAX_PIXELS / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink_image(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The frame at the size of the report."""
    height, width = picture_size(*image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def shrink_labels(labels: Integer[np.ndarray, "h w"]) -> Integer[np.ndarray, "h2 w2"]:
    """Labels (or anything that must not be mixed) at the size of the report."""
    return _nearest(labels)


def shrink_flow(flow: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h2 w2 2"]:
    """Some of a flow's vectors, as they are: in pixels of the full size."""
    return _nearest(flow)


def _nearest(array: np.ndarray) -> np.ndarray:
    full_height, full_width = array.shape[:2]
    height, width = picture_size(full_height, full_width)
    rows = (np.arange(height) + 0.5) * full_height / height
    columns = (np.arange(width) + 0.5) * full_width / width
    return array[rows.astype(int)[:, None], columns.astype(int)]


def frames_to_show(count: int, keys: Sequence[int]) -> tuple[int, ...]:
    """Places of at most ``MAX_FRAMES`` frames: the labelled ones and an even choice of the others.

    Args:
      count: of the frames of the window.
      keys: places of the labelled ones.
    """
    if count <= MAX_FRAMES:
        return tuple(range(count))
    even = {round(i) for i in np.linspace(0, count - 1, MAX_FRAMES - len(keys))}
    return tuple(sorted(even | set(keys)))


def film(pictures: WindowPictures, classes: ClassMap, method: str) -> dict[str, Any]:
    """What the template needs of one window: heads, rows of pictures, what the player offers.

    Args:
      pictures: the window, at the size in which it is shown.
      classes: names and colours.
      method: the main method, whose errors and confidence get rows of their own.
    """
    at = list(range(len(pictures.names)))
    some = _some(pictures.distances)
    css = [
        "key" if pictures.distances[i] == 0 else "" if pictures.distances[i] in some else "skip"
        for i in at
    ]

    def row(row_id, title, kind, pngs):
        cells = [{"css": css[i], "src": pngs[i], "name": pictures.names[i], "at": i} for i in at]
        return {"id": row_id, "title": title, "css": kind, "cells": cells}

    def masks(labels):
        return [_uri(overlays.palette_png(labels[i], classes), "png") for i in at]

    has_truth = bool(pictures.has_truth.any())
    rows = [row("frame", "frame", "", [_uri(overlays.jpeg(x), "jpeg") for x in pictures.images])]
    if has_truth:
        truth = [
            _uri(overlays.palette_png(pictures.truth[i], classes), "png")
            if pictures.has_truth[i]
            else None
            for i in at
        ]
        rows.append(row("truth", "truth", "", truth))
    for name, labels in pictures.labels.items():
        rows.append(row(name, name, "ours" if name == method else "", masks(labels)))
    if has_truth:
        for name, labels in pictures.labels.items():
            wrong = [
                _uri(overlays.error_png(labels[i], pictures.truth[i], classes), "png")
                if pictures.has_truth[i] and pictures.distances[i]
                else None
                for i in at
            ]
            kind = "" if name == method else "errors"
            rows.append(row(f"errors {name}", f"errors of {name}", kind, wrong))
    if pictures.confidence is not None:
        sure = [_uri(overlays.confidence_png(x), "png") for x in pictures.confidence]
        rows.append(row("confidence", "confidence", "", sure))
    if pictures.flow is not None:
        motion = [_uri(overlays.jpeg(x), "jpeg") for x in pictures.flow]
        motion = [None if pictures.distances[i] == 0 else motion[i] for i in at]
        rows.append(row("motion", "motion", "", motion))

    names = list(pictures.labels)
    choices = [*names, *(["truth"] if has_truth else [])]
    others = [n for n in ("motion-only", *choices) if n in choices and n != method]
    if pictures.confidence is not None:
        choices.append("confidence")
    height, width = pictures.images.shape[1:3]
    return {
        "sequence": pictures.sequence,
        "key": pictures.key,
        "width": width,
        "height": height,
        "start": len(at) - 1,
        "has_truth": has_truth,
        "rows": rows,
        "choices": choices,
        "panels": [*others[:1], method],
        "heads": [
            {
                "css": css[i],
                "name": pictures.names[i],
                "distance": pictures.distances[i],
                "text": _signed(pictures.distances[i]) if pictures.distances[i] else "labelled",
            }
            for i in at
        ],
    }


def _some(distances: tuple[int, ...]) -> set[int]:
    """Distances shown first: ``SHOWN``, stretched or cut to how far the window reaches."""
    reach = max(abs(d) for d in distances)
    wanted = {round(d * max(reach, 1) / max(SHOWN)) for d in SHOWN}
    # A frame that was left out of a long window is replaced by its nearest neighbour.
    return {min(distances, key=lambda d: abs(d - w)) for w in wanted}


def _signed(distance: int) -> str:
    """With its sign; a minus as wide as the plus."""
    return f"{distance:+d}".replace("-", "−")


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
