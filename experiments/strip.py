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
from PIL import Image

from experiments.canvas import MARGIN, Canvas
from experiments.errors import method_folders, read_labels
from experiments.strip_pictures import WindowPictures, shrink_image, shrink_labels
from wrp_jax.cli import command_line
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import VideoSource
from wrp_jax.data.windows import choose_windows, window_frames
from wrp_jax.evaluation.confusion import confusion, mean_iou
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.atomic import write_atomically
from wrp_jax.types import ClassMap, UserError, Window

_GAP, _NAMES, _HEAD = 5, 82, 44
OURS = "warp-refine"
ABOUT = {
    "video": "given",
    "motion-only": "optical flow",
    "semantic-argmax": "segmentation",
    "warp-refine": "this project",
    "truth": "scored against",
}
"""What stands below the name of a row or a panel."""


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
    canvas = Canvas(width, height)

    canvas.text(MARGIN, 6, "You label one frame", 14, heavy=True)
    canvas.text(left, 6, f"and get the other {others}", 14, heavy=True)
    canvas.text(MARGIN, 25, f"frame {pictures.key} and its label", 11, soft=True)
    canvas.frame(MARGIN, _HEAD, pictures.images[key], key=True)
    given = pictures.labels[next(iter(pictures.labels))][key]
    canvas.labels(MARGIN, _HEAD + high + _GAP, given, classes, key=True)
    for column, i in enumerate(columns):
        x = left + column * (wide + _GAP)
        side = "before" if pictures.distances[i] < 0 else "after"
        canvas.text(x, 25, f"{abs(pictures.distances[i])} frames {side}", 11, soft=True)
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
                    score = frame_score(pictures, name, i, classes)
                    canvas.tag(x + wide, y + high, f"mIoU {score:.0f} %")
    for row, name in enumerate(rows):
        y = _HEAD + row * (high + _GAP) + high // 2
        about = ABOUT.get(name, "")
        canvas.text(left - 8, y - (15 if about else 7), name, 12, heavy=name == OURS, right=True)
        canvas.text(left - 8, y + 2, about, 10, soft=True, right=True)
    seen = np.unique([*pictures.labels.values(), pictures.truth])
    top = _HEAD + 2 * (high + _GAP) + 4
    canvas.legend(MARGIN, top, classes, seen, columns=2, wide=wide // 2)
    return canvas.image


def frame_scores(pictures: WindowPictures, classes: ClassMap) -> dict[str, dict[str, float]]:
    """The mIoU in % that `draw` writes on the pictures, by method and distance."""
    shown = [i for i, distance in enumerate(pictures.distances) if distance]
    return {
        name: {
            str(pictures.distances[i]): frame_score(pictures, name, i, classes)
            for i in shown
            if pictures.has_truth[i]
        }
        for name in pictures.labels
    }


def frame_score(pictures: WindowPictures, name: str, i: int, classes: ClassMap) -> float:
    """The mIoU in % of a method on frame ``i`` of the pictures, which has a truth."""
    matrix = confusion(pictures.truth[i], pictures.labels[name][i], classes.num_classes)
    return 100.0 * mean_iou(matrix, classes.void)


def encode(figure: Image.Image) -> bytes:
    """The figure as a PNG of 256 colours, without dither: a third of the size of all colours."""
    buffer = io.BytesIO()
    figure.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def define_flags() -> flags.FlagHolder:
    """The flags of a command that shows one window; ``shown_window`` reads them."""
    flags.DEFINE_string("data", None, "The video; the config's if absent.")
    flags.DEFINE_string("windows", None, "As of propagate.py.")
    flags.DEFINE_string("output", None, "An output of propagate.py.")
    flags.DEFINE_string("sequence", None, "The sequence to show.")
    flags.DEFINE_string("figure", None, "The file to write.")
    flags.DEFINE_list("methods", ["motion-only", "warp-refine"], "Methods to show.")
    return command_line.define_config()


def shown_window(config_flag: flags.FlagHolder) -> tuple[VideoSource, Window]:
    """The video, and the window of it that the flags name.

    Raises:
      UserError: a flag is missing, or there is no such window.
    """
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
    return source, window


def main(config_flag: flags.FlagHolder) -> None:
    source, window = shown_window(config_flag)
    options = flags.FLAGS
    distances = [int(d) for d in options.distances]
    pictures = read_pictures(source, window, Path(options.output), options.methods, distances)
    figure = draw(pictures, source.classes, len(window_frames(window, source)) - 1)
    write_atomically(Path(options.figure), encode(figure))


if __name__ == "__main__":
    flags.DEFINE_list("distances", ["-10", "-5", "5", "10"], "Frames to show.")
    sys.exit(command_line.run(functools.partial(main, define_flags())))
