"""How good g_ψ is by itself, and how far its confidence can be believed, on labelled frames.

python -m wrp_jax.cli.calibrate --config=C --data=D --frames=LIST --workdir=RUN --output=DIR

Published weights (``--config.segmentation.weights=FILE``) need no ``--workdir``.

LIST names frames that training has not seen, ``<sequence> <frame>`` per line. Writes
``reliability.json`` and ``reliability.html``: scores per class, the reliability curve, the expected
calibration error, and what a threshold keeps; with the fitted temperature and without any. The
curve by itself is in ``reliability.svg``.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from markupsafe import Markup

from wrp_jax.cli import command_line
from wrp_jax.config import Config
from wrp_jax.data.open_source import input_folder, open_source
from wrp_jax.data.source import VideoSource, read_clip
from wrp_jax.data.windows import read_frames
from wrp_jax.evaluation.confusion import confusion, iou, mean_iou
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.evaluation.truth import GroundTruth
from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.output import check_output
from wrp_jax.reporting.curves import reliability_chart
from wrp_jax.segmentation.clip import segment_clip
from wrp_jax.types import Segment, UserError

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95)

_STYLES = {"calibrated": ("#06c", ""), "uncalibrated": ("#c40", "6 4")}
_LINES = ".rule{stroke:#ccc;fill:none}polyline{fill:none;stroke-width:2}"
_DRAWING = f"<style>svg{{background:#fff;font:12px sans-serif}}{_LINES}</style>"
_PAGE = Markup(
    "<!doctype html><meta charset=utf-8><title>Reliability</title>"
    "<style>body{{font:15px/1.5 system-ui;margin:2em auto;max-width:52em;padding:0 1em}}"
    "td,th{{padding:.1em .8em;text-align:right}}td:first-child{{text-align:left}}{}</style>"
    "<h1>Reliability of the segmentation</h1>{}"
)


def score_segmentation(
    segment: Segment,
    source: VideoSource,
    frames: Iterable[tuple[str, str]],
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Scores g_ψ on labelled frames.

    Args:
      segment: g_ψ, its temperature included.
      source: of the frames.
      frames: (sequence, frame), each with a label.
      temperature: the T of ``segment``; what T = 1 would have given is scored as well.

    Returns:
      JSON values: ``miou`` in %, ``iou`` by class in %, ``temperature``, and under ``calibrated``
      and ``uncalibrated`` what `Reliability.summary` gives and ``thresholds``: by threshold the
      share of the scored pixels above and the accuracy there.
    """
    classes = source.classes
    scored, labels = ~np.asarray(classes.void), GroundTruth(source)
    matrix = np.zeros((classes.num_classes, classes.num_classes + 1), np.int64)
    curves = {"calibrated": Reliability(), "uncalibrated": Reliability()}
    for sequence, name in frames:
        probs = np.asarray(segment(read_clip(source, sequence, [name]), [0])[0][0], np.float32)
        truth, said = labels.label(sequence, name), probs.argmax(-1)
        matrix += confusion(truth, said, classes.num_classes)
        # softmax(z) is softmax(z / T) to the power of T, made to sum to one.
        plain = np.power(probs, np.float32(temperature))
        for key, p in (("calibrated", probs), ("uncalibrated", plain)):
            sure = np.minimum(p.max(-1) / np.maximum(p.sum(-1), 1e-12), 1.0)
            curves[key].add(sure, said, truth, scored)
    by_class = 100.0 * iou(matrix, classes.void)
    return {
        "miou": 100.0 * mean_iou(matrix, classes.void),
        "iou": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(classes.names, by_class, strict=True)
        },
        "temperature": temperature,
        **{key: {**c.summary(), "thresholds": _kept(c)} for key, c in curves.items()},
    }


def _kept(curve: Reliability) -> dict[str, dict[str, float]]:
    bins = len(curve.count)
    kept = {}
    for threshold in THRESHOLDS:
        above = slice(round(threshold * bins), None)
        count = curve.count[above].sum()
        kept[str(threshold)] = {
            "share": float(count / max(curve.count.sum(), 1.0)),
            "accuracy": float(curve.correct[above].sum() / max(count, 1.0)),
        }
    return kept


def _chart(scores: Mapping[str, Any]) -> Markup:
    return reliability_chart({key: scores[key]["curve"] for key in _STYLES}, _STYLES)


def reliability_drawing(scores: Mapping[str, Any]) -> str:
    """The curves of `score_segmentation`'s result as an SVG file."""
    head, _, rest = _chart(scores).partition(">")
    return f"{head}>{_DRAWING}{rest}\n"


def reliability_page(scores: Mapping[str, Any]) -> str:
    """The page about `score_segmentation`'s result."""
    both = {key: scores[key] for key in _STYLES}
    rows = [
        Markup("<tr><td>{}</td><td>{:.4f}</td>{}</tr>").format(
            key,
            values["expected_error"],
            Markup("").join(
                Markup("<td>{:.1f} % of {:.1f} %</td>").format(
                    100 * kept["accuracy"], 100 * kept["share"]
                )
                for kept in values["thresholds"].values()
            ),
        )
        for key, values in both.items()
    ]
    heads = Markup("").join(Markup("<th>above {}</th>").format(t) for t in THRESHOLDS)
    classes = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td></tr>").format(
            name, "none" if value is None else f"{value:.1f}"
        )
        for name, value in scores["iou"].items()
    )
    body = Markup(
        "<p>mIoU {:.1f} %; temperature {:.3f} (solid: with it; dashed: without).</p>{}"
        "<table><tr><th></th><th>expected error</th>{}</tr>{}</table>"
        "<h2>IoU by class, %</h2><table>{}</table>"
    ).format(
        scores["miou"],
        scores["temperature"],
        _chart(scores),
        heads,
        Markup("").join(rows),
        classes,
    )
    return _PAGE.format(Markup(_LINES), body)


def calibration(
    config: Config, data: str, frames: str, workdir: Path | None, output: Path
) -> dict[str, Any]:
    """The command without its flags; see the module.

    Args:
      config: ``config.segmentation`` is read.
      data: spec of the video.
      frames: path of LIST.
      workdir: of ``train.py``; None where ``config.segmentation.weights`` is all there is.
      output: DIR.

    Returns:
      What `score_segmentation` gives.

    Raises:
      UserError: a mistake in what was given; nothing has been written then.
    """
    from wrp_jax.runs.segmentation import load_segmentation
    from wrp_jax.segmentation.temperature import KEY

    source = open_source(data)
    check_output(output, input_folder(data))
    listed = read_frames(frames, source)
    network, variables = load_segmentation(workdir, config, source.classes)
    segment = functools.partial(segment_clip, network, variables)
    scores = score_segmentation(segment, source, listed, float(variables.get(KEY, 1.0)))
    write_atomically(output / "reliability.json", (json.dumps(scores, indent=1) + "\n").encode())
    write_atomically(output / "reliability.html", reliability_page(scores).encode())
    write_atomically(output / "reliability.svg", reliability_drawing(scores).encode())
    return scores


def main(config_flag: flags.FlagHolder) -> None:
    """The command line."""
    options = flags.FLAGS
    config = command_line.read_config(config_flag)
    for name in ("data", "frames", "output"):
        if not options[name].value:
            raise UserError(f"--{name} is missing.")
    workdir = Path(options.workdir) if options.workdir else None
    output = Path(options.output)
    scores = calibration(config, options.data, options.frames, workdir, output)
    print(
        f"mIoU {scores['miou']:.1f} %, expected calibration error "
        f"{scores['calibrated']['expected_error']:.4f} at T = {scores['temperature']:.3f}, "
        f"{scores['uncalibrated']['expected_error']:.4f} at T = 1; see {output}."
    )


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    flags.DEFINE_string("data", None, "A folder, tfds:NAME/CONFIG:SPLIT[@dir], synthetic:….")
    flags.DEFINE_string("frames", None, "List of '<sequence> <frame>' with labels.")
    flags.DEFINE_string("workdir", None, "What train.py made; or segmentation.weights.")
    flags.DEFINE_string("output", None, "Where the page goes.")
    return command_line.define_config()


if __name__ == "__main__":
    sys.exit(command_line.run(functools.partial(main, define_flags())))
