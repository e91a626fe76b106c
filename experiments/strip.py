"""One window as a picture: what is given, and the labels that travel away from it.

python -m experiments.strip --config=C --output=OUT --sequence=NAME --figure=FIGURE.png
  [--data=D] [--windows=FILE] [--distances=-10,-5,5,10] [--methods=motion-only,warp-refine]

``OUT`` is an output of ``propagate.py`` with the same config, data and windows. Left stand the
labelled frame and its label, right a row for the video, for each method and for the truth.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image, ImageDraw, ImageFont

from experiments.errors import method_folders, read_labels
from experiments.strip_pictures import WindowPictures, shrink_image, shrink_labels
from wrp_jax.cli import command_line
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import choose_windows, window_frames
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.atomic import write_atomically
from wrp_jax.reporting import overlays
from wrp_jax.types import ClassMap, UserError, Window

ZOOM = 2
"""Pixels of the figure per pixel of the video, and per point of its text."""

MARGIN = 10
"""Around the figure, before it is enlarged."""

_INK, _SOFT, _PAPER = (29, 33, 38), (92, 102, 112), (255, 255, 255)
_GAP, _NAMES, _HEAD = 5, 82, 44
_OURS = "warp-refine"
_ABOUT = {
    "video": "given",
    "motion-only": "optical flow",
    "semantic-argmax": "segmentation",
    "warp-refine": "this project",
    "truth": "scored against",
}


def read_pictures(
    source: VideoSource,
    window: Window,
    output: Path,
    methods: Sequence[str],
    distances: Sequence[int],
) -> WindowPictures:
    """The labelled frame of a window and those at some distances, with the labels of methods.

    Args:
      source: of the video.
      window: to show.
      output: of ``propagate.py``.
      methods: to show.
      distances: in frames, negative before the labelled frame, without 0.

    Raises:
      UserError: the window does not reach that far, or a method was not run.
    """
    folders, names = method_folders(output), window_frames(window, source)
    for method in set(methods) - set(folders):
        raise UserError(f"{output} has no labels of {method}, only of {', '.join(folders)}.")
    key = names.index(window.key)
    at = sorted({0, *distances})
    for distance in at:
        if not 0 <= key + distance < len(names):
            raise UserError(f"{window.sequence}: the window has no frame at {distance}.")
    shown = [names[key + d] for d in at]
    given = source.label(window.sequence, window.key)
    truth = GroundTruth(source)
    scored = set(truth.scored(window.sequence, window.keys, shown))

    def stack(read):
        return np.stack([shrink_labels(given if n == window.key else read(n)) for n in shown])

    return WindowPictures(
        sequence=window.sequence,
        key=window.key,
        names=tuple(shown),
        distances=tuple(at),
        images=np.stack([shrink_image(source.frame(window.sequence, n)) for n in shown]),
        labels={
            m: stack(functools.partial(read_labels, folders[m], source.classes, window.sequence))
            for m in methods
        },
        truth=stack(
            lambda n: truth.label(window.sequence, n) if n in scored else np.zeros_like(given)
        ),
        has_truth=np.array([n in scored for n in shown]),
    )


def draw(pictures: WindowPictures, classes: ClassMap, others: int) -> Image.Image:
    """The figure.

    Args:
      pictures: of ``read_pictures``.
      classes: names and colours.
      others: how many frames of the window were labelled by the methods.
    """
    key = pictures.distances.index(0)
    columns = [i for i in range(len(pictures.distances)) if i != key]
    rows = ["video", *pictures.labels, *(["truth"] if pictures.has_truth.any() else [])]
    high, wide = pictures.images.shape[1:3]
    left = MARGIN + wide + _NAMES
    width = left + len(columns) * (wide + _GAP) - _GAP + MARGIN
    height = _HEAD + max(len(rows), 3) * (high + _GAP) - _GAP + MARGIN
    canvas = _Canvas(width, height)

    canvas.text(MARGIN, 6, "You label one frame", 14, heavy=True)
    canvas.text(left, 6, f"and get the other {others}", 14, heavy=True)
    canvas.text(MARGIN, 25, f"frame {pictures.key} and its label", 11, _SOFT)
    canvas.frame(MARGIN, _HEAD, pictures.images[key], key=True)
    given = pictures.labels[next(iter(pictures.labels))][key]
    canvas.labels(MARGIN, _HEAD + high + _GAP, given, classes, key=True)
    for column, i in enumerate(columns):
        x = left + column * (wide + _GAP)
        side = "before" if pictures.distances[i] < 0 else "after"
        canvas.text(x, 25, f"{abs(pictures.distances[i])} frames {side}", 11, _SOFT)
        for row, name in enumerate(rows):
            y = _HEAD + row * (high + _GAP)
            if name == "video":
                canvas.frame(x, y, pictures.images[i])
            elif name == "truth":
                if pictures.has_truth[i]:
                    canvas.labels(x, y, pictures.truth[i], classes)
            else:
                canvas.labels(x, y, pictures.labels[name][i], classes)
                if pictures.has_truth[i]:
                    score = f"mIoU {_score(pictures, name, i, classes):.0f} %"
                    canvas.score(x + wide, y + high, score)
    for row, name in enumerate(rows):
        y = _HEAD + row * (high + _GAP) + high // 2
        about = _ABOUT.get(name, "")
        canvas.text(left - 8, y - (15 if about else 7), name, 12, heavy=name == _OURS, right=True)
        canvas.text(left - 8, y + 2, about, 10, _SOFT, right=True)
    seen = np.unique([*pictures.labels.values(), pictures.truth])
    _legend(canvas, _HEAD + 2 * (high + _GAP) + 4, wide, classes, seen)
    return canvas.image


def frame_scores(pictures: WindowPictures, classes: ClassMap) -> dict[str, dict[str, float]]:
    """The mIoU in % that `draw` writes on the pictures, by method and distance."""
    shown = [i for i, distance in enumerate(pictures.distances) if distance]
    return {
        name: {
            str(pictures.distances[i]): _score(pictures, name, i, classes)
            for i in shown
            if pictures.has_truth[i]
        }
        for name in pictures.labels
    }


def _score(pictures: WindowPictures, name: str, i: int, classes: ClassMap) -> float:
    matrix = confusion(pictures.truth[i], pictures.labels[name][i], classes.num_classes)
    return 100.0 * mean_iou(matrix, classes.void)


def encode(figure: Image.Image) -> bytes:
    """The figure as a PNG of 256 colours, without dither: a third of the size of all colours."""
    buffer = io.BytesIO()
    figure.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _legend(canvas: _Canvas, top: int, wide: int, classes: ClassMap, seen: np.ndarray) -> None:
    shown = [i for i in range(classes.num_classes) if i in seen]
    for place, i in enumerate(shown):
        x = MARGIN + (place % 2) * (wide // 2)
        y = top + (place // 2) * 18
        canvas.swatch(x, y, classes.colors[i])
        canvas.text(x + 17, y - 1, classes.names[i], 11)


class _Canvas:
    """Draws at ``ZOOM`` times the coordinates that it is given."""

    def __init__(self, width: int, height: int):
        self.image = Image.new("RGB", (width * ZOOM, height * ZOOM), _PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, x, y, words, size, color=_INK, *, heavy=False, right=False):
        self._draw.text(
            (x * ZOOM, y * ZOOM),
            words,
            fill=color,
            font=ImageFont.load_default(size * ZOOM),
            anchor="ra" if right else "la",
            stroke_width=0.4 * ZOOM if heavy else 0,
        )

    def frame(self, x, y, pixels, *, key=False):
        self._paste(x, y, pixels, Image.Resampling.LANCZOS, key)

    def labels(self, x, y, labels, classes, *, key=False):
        self._paste(x, y, overlays.colorize(labels, classes), Image.Resampling.NEAREST, key)

    def score(self, x, y, words):
        long = ImageFont.load_default(11 * ZOOM).getlength(words) / ZOOM
        box = [(x - long - 14) * ZOOM, (y - 20) * ZOOM, (x - 4) * ZOOM, (y - 4) * ZOOM]
        self._draw.rounded_rectangle(box, 3 * ZOOM, fill=_PAPER)
        self.text(x - 9, y - 18, words, 11, right=True)

    def swatch(self, x, y, color):
        box = [x * ZOOM, y * ZOOM, (x + 12) * ZOOM, (y + 12) * ZOOM]
        self._draw.rounded_rectangle(box, 2 * ZOOM, fill=tuple(map(int, color)), outline=_SOFT)

    def _paste(self, x, y, pixels, how, key):
        picture = Image.fromarray(pixels)
        size = (picture.width * ZOOM, picture.height * ZOOM)
        self.image.paste(picture.resize(size, how), (x * ZOOM, y * ZOOM))
        if key:
            box = [x * ZOOM, y * ZOOM, x * ZOOM + size[0] - 1, y * ZOOM + size[1] - 1]
            self._draw.rectangle(box, outline=overlays.KEY_COLOR, width=3 * ZOOM)


def main(config_flag: flags.FlagHolder) -> None:
    config, options = command_line.read_config(config_flag), flags.FLAGS
    for name in ("output", "sequence", "figure"):
        if not options[name].value:
            raise UserError(f"--{name} is missing.")
    source = open_source(options.data or config.data)
    windows = choose_windows(
        source,
        windows=options.windows,
        keyframes=None,
        key_every=config.key_every,
        horizon=config.propagation.horizon,
    )
    window = next((w for w in windows if w.sequence == options.sequence), None)
    if window is None:
        raise UserError(f"{source.name} has no window of {options.sequence}.")
    distances = [int(d) for d in options.distances]
    pictures = read_pictures(source, window, Path(options.output), options.methods, distances)
    figure = draw(pictures, source.classes, len(window_frames(window, source)) - 1)
    write_atomically(Path(options.figure), encode(figure))


if __name__ == "__main__":
    flags.DEFINE_string("data", None, "The video; the config's if absent.")
    flags.DEFINE_string("windows", None, "As of propagate.py.")
    flags.DEFINE_string("output", None, "An output of propagate.py.")
    flags.DEFINE_string("sequence", None, "The sequence to show.")
    flags.DEFINE_string("figure", None, "The file to write.")
    flags.DEFINE_list("distances", ["-10", "-5", "5", "10"], "Frames to show.")
    flags.DEFINE_list("methods", ["motion-only", "warp-refine"], "Methods to show.")
    sys.exit(command_line.run(functools.partial(main, command_line.define_config())))
