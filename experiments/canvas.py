"""A figure of text, frames and labels, drawn in points and enlarged as it is drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from wrp_jax.reporting import overlays
from wrp_jax.types import ClassMap

ZOOM = 2
"""Pixels of the figure per pixel of the video, and per point of its text."""

MARGIN = 10
"""Around the figure, in points."""

Color = tuple[int, int, int]


class Shades(NamedTuple):
    """The colours of a figure.

    Attributes:
      ink: of words.
      soft: of words that say less.
      paper: behind everything.
    """

    ink: Color
    soft: Color
    paper: Color


LIGHT = Shades((29, 33, 38), (92, 102, 112), (255, 255, 255))
DARK = Shades((240, 243, 246), (165, 174, 184), (29, 33, 38))


class Canvas:
    """Draws at ``ZOOM`` times the points that it is given.

    Attributes:
      image: what has been drawn.
    """

    def __init__(self, width: int, height: int, shades: Shades = LIGHT):
        self.image = Image.new("RGB", (width * ZOOM, height * ZOOM), shades.paper)
        self._draw, self._shades = ImageDraw.Draw(self.image), shades

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int,
        *,
        soft: bool = False,
        heavy: bool = False,
        right: bool = False,
    ) -> None:
        """Words with their upper left corner at a point; their upper right one with ``right``."""
        self._words(x, y, words, size, self._shades.soft if soft else None, heavy, right)

    def frame(
        self, x: float, y: float, pixels: UInt8[np.ndarray, "h w 3"], *, key: bool = False
    ) -> None:
        """A frame of the video; ``key`` frames it as labelled by hand."""
        self._paste(x, y, pixels, Image.Resampling.LANCZOS, key)

    def labels(
        self,
        x: float,
        y: float,
        labels: Integer[np.ndarray, "h w"],
        classes: ClassMap,
        *,
        key: bool = False,
    ) -> None:
        """Labels in the colours of their classes; ``key`` as in ``frame``."""
        self._paste(x, y, overlays.colorize(labels, classes), Image.Resampling.NEAREST, key)

    def tag(self, x: float, y: float, words: str, color: Color | None = None) -> None:
        """Words on a ground of their own, with their lower right corner at a point."""
        long = ImageFont.load_default(11 * ZOOM).getlength(words) / ZOOM
        self.box(x - long - 14, y - 20, long + 10, 16, color or LIGHT.paper, radius=3)
        self._words(x - 9, y - 18, words, 11, LIGHT.ink, False, True)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        color: Color,
        *,
        radius: float = 2,
        edge: Color | None = None,
    ) -> None:
        """A filled rectangle with round corners."""
        corners = [x * ZOOM, y * ZOOM, (x + width) * ZOOM, (y + height) * ZOOM]
        self._draw.rounded_rectangle(corners, radius * ZOOM, fill=color, outline=edge)

    def legend(
        self,
        x: float,
        y: float,
        classes: ClassMap,
        seen: Integer[np.ndarray, "n"],
        *,
        columns: int,
        wide: float,
    ) -> None:
        """The classes that are seen, each ``wide`` points, line by line."""
        for place, i in enumerate(i for i in range(classes.num_classes) if i in seen):
            left, top = x + (place % columns) * wide, y + (place // columns) * 18
            r, g, b = map(int, classes.colors[i])
            self.box(left, top, 12, 12, (r, g, b), edge=self._shades.soft)
            self.text(left + 17, top - 1, classes.names[i], 11)

    def _words(self, x, y, words, size, color, heavy, right):
        self._draw.text(
            (x * ZOOM, y * ZOOM),
            words,
            fill=color or self._shades.ink,
            font=ImageFont.load_default(size * ZOOM),
            anchor="ra" if right else "la",
            stroke_width=0.4 * ZOOM if heavy else 0,
        )

    def _paste(self, x, y, pixels, how, key):
        picture = Image.fromarray(pixels)
        size = (picture.width * ZOOM, picture.height * ZOOM)
        left, top = round(x * ZOOM), round(y * ZOOM)
        self.image.paste(picture.resize(size, how), (left, top))
        if key:
            box = [left, top, left + size[0] - 1, top + size[1] - 1]
            self._draw.rectangle(box, outline=overlays.KEY_COLOR, width=3 * ZOOM)
