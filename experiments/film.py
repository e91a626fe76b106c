"""One window as a short film: the video beside the labels that travel away from one frame.

python -m experiments.film --config=C --output=OUT --sequence=NAME --figure=FILM.gif
  [--data=D] [--windows=FILE] [--methods=motion-only,warp-refine]

``OUT`` is an output of ``propagate.py`` with the same config, data and windows. The film begins at
the labelled frame, where it is held, plays to the end of the window, goes on at its beginning, and
loops. The same output gives the same bytes with one version of Pillow.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from experiments.canvas import DARK, LIGHT, MARGIN, Canvas
from experiments.strip import (
    ABOUT,
    OURS,
    define_flags,
    frame_score,
    read_pictures,
    shown_window,
)
from experiments.strip_pictures import WindowPictures
from wrp_jax.cli import command_line
from wrp_jax.data.windows import window_frames
from wrp_jax.files.atomic import write_atomically
from wrp_jax.reporting.overlays import KEY_COLOR
from wrp_jax.types import ClassMap

MAX_BYTES = 3_000_000
"""A page that shows the film loads it at once."""

STEP, HOLD, PAUSE = 200, 2000, 800
"""Milliseconds that a frame, the labelled frame and the last frame before a jump are seen."""

_GAP, _HEAD, _TIME, _LINE = 8, 44, 42, 18


def draw(pictures: WindowPictures, classes: ClassMap) -> list[Image.Image]:
    """The pictures of the film, in order of time.

    Args:
      pictures: of ``strip.read_pictures``, every frame of the window.
      classes: names and colours.
    """
    return [_picture(pictures, classes, i) for i in range(len(pictures.names))]


def _picture(pictures: WindowPictures, classes: ClassMap, i: int) -> Image.Image:
    panels = ["video", *pictures.labels]
    high, wide = pictures.images.shape[1:3]
    width = 2 * MARGIN + len(panels) * (wide + _GAP) - _GAP
    seen = np.unique([*pictures.labels.values()])
    columns = max(1, (width - 2 * MARGIN) // 84)
    lines = -(-len(seen) // columns)
    below = _HEAD + high + MARGIN
    canvas = Canvas(width, below + _TIME + lines * _LINE + MARGIN, DARK)
    is_key = pictures.distances[i] == 0
    for place, name in enumerate(panels):
        x = MARGIN + place * (wide + _GAP)
        canvas.text(x, 7, name, 13, heavy=name == OURS)
        canvas.text(x, 25, ABOUT.get(name, ""), 11, soft=True)
        if name == "video":
            canvas.frame(x, _HEAD, pictures.images[i], key=is_key)
            continue
        canvas.labels(x, _HEAD, pictures.labels[name][i], classes, key=is_key)
        if is_key:
            canvas.tag(x + wide, _HEAD + high, "labelled by hand", KEY_COLOR)
        elif pictures.has_truth[i]:
            score = frame_score(pictures, name, i, classes)
            canvas.tag(x + wide, _HEAD + high, f"mIoU {score:.0f} %")
    _time_line(canvas, below, width, pictures, i)
    wide = (width - 2 * MARGIN) / columns
    canvas.legend(MARGIN, below + _TIME, classes, seen, columns=columns, wide=wide)
    return canvas.image


def _time_line(canvas: Canvas, top: int, width: int, pictures: WindowPictures, i: int) -> None:
    """A cell for every frame: the labelled one in its colour, the one that is seen larger."""
    distance = pictures.distances[i]
    side = "before" if distance < 0 else "after"
    words = f"{abs(distance)} frame{'s' * (abs(distance) > 1)} {side} the labelled one"
    canvas.text(MARGIN, top, words if distance else "You label this frame", 11)
    wide = (width - 2 * MARGIN + 3) / len(pictures.names)
    for place, at in enumerate(pictures.distances):
        color = LIGHT.paper if place == i else LIGHT.soft if at else KEY_COLOR
        color = KEY_COLOR if at == 0 else color
        y, high = (top + 18, 10) if place == i else (top + 21, 4)
        canvas.box(MARGIN + place * wide, y, wide - 3, high, color)


def encode(pictures: Sequence[Image.Image], key: int) -> bytes:
    """A GIF that begins at one of the pictures, holds it, and loops.

    All pictures share one palette, so that the colour of a class stays the same.

    Args:
      pictures: in order of time, all of one size.
      key: which of them is held.
    """
    width, height = pictures[0].size
    tall = Image.new("RGB", (width, height * len(pictures)))
    for place, picture in enumerate(pictures):
        tall.paste(picture, (0, place * height))
    tall = tall.quantize(255, kmeans=1, dither=Image.Dither.NONE)
    order = [(key + place) % len(pictures) for place in range(len(pictures))]
    first, *others = [tall.crop((0, i * height, width, (i + 1) * height)) for i in order]
    times = [HOLD if i == key else PAUSE if i == len(pictures) - 1 else STEP for i in order]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=times, loop=0)
    return buffer.getvalue()


def main(config_flag: flags.FlagHolder) -> None:
    source, window = shown_window(config_flag)
    options, names = flags.FLAGS, window_frames(window, source)
    key = names.index(window.key)
    distances = [i - key for i in range(len(names))]
    pictures = read_pictures(source, window, Path(options.output), options.methods, distances)
    data = encode(draw(pictures, source.classes), key)
    write_atomically(Path(options.figure), data)
    size = f"{options.figure}: {len(names)} frames, {len(data) / 1e6:.1f} MB"
    print(size if len(data) <= MAX_BYTES else f"{size}, which is much for a page")


if __name__ == "__main__":
    sys.exit(command_line.run(functools.partial(main, define_flags())))
