"""Scores the segmentation network and its confidence on labelled frames.

  wrp calibrate --config=folder --data=D --frames=LIST --workdir=RUN --output=DIR

LIST names frames that training has not seen, '<sequence> <frame>' per line. Published weights
(--config.segmentation.weights=FILE) need no --workdir. DIR gets reliability.json and
reliability.html: scores per class, the reliability curve, the expected calibration error, and what
a threshold keeps; with the fitted temperature and without any. The curve by itself is in
reliability.svg.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from absl import flags

from wrp_jax.cli import command_line
from wrp_jax.cli.imported_data import imported_data
from wrp_jax.config import Config
from wrp_jax.files.shards import WHOLE


def define_flags() -> flags.FlagHolder:
    """Defines the flags; returns that of the config."""
    command_line.define_data()
    flags.DEFINE_string("frames", None, "List of '<sequence> <frame>' with labels.")
    flags.DEFINE_string(
        "workdir", None, "The folder that 'wrp train' wrote; or give segmentation.weights."
    )
    flags.DEFINE_string("output", None, "Where the page goes.")
    return command_line.define_config()


def main(config_flag: flags.FlagHolder) -> None:
    """Reads the flags, scores and says what came out."""
    options, config = flags.FLAGS, command_line.read_config(config_flag)
    command_line.require("data", "frames", "output")
    workdir = Path(options.workdir) if options.workdir else None
    output = Path(options.output)
    with imported_data(options.data, output, WHOLE) as data:
        scores = calibrate(config, data, options.frames, workdir, output)
    print(
        f"mIoU {scores['miou']:.1f} %, expected calibration error "
        f"{scores['calibrated']['expected_error']:.4f} at T = {scores['temperature']:.3f}, "
        f"{scores['uncalibrated']['expected_error']:.4f} at T = 1; see {output}."
    )


def calibrate(
    config: Config, data: str, frames: str, workdir: Path | None, output: Path
) -> dict[str, Any]:
    """Scores and writes the page.

    Args:
      config: ``config.segmentation`` is read.
      data: spec of the video.
      frames: path of LIST.
      workdir: of ``wrp train``; None where ``config.segmentation.weights`` is all there is.
      output: DIR.

    Returns:
      What `score_segmentation` gives.

    Raises:
      UserError: a mistake in what was given; nothing has been written then.
    """
    from wrp_jax.data.open_source import input_folder, open_source
    from wrp_jax.data.windows import read_frames
    from wrp_jax.evaluation.segmentation import score_segmentation
    from wrp_jax.files.atomic import write_atomically
    from wrp_jax.files.lock import sole_writer
    from wrp_jax.files.output import check_apart, check_output
    from wrp_jax.progress import waiting
    from wrp_jax.reporting.reliability import reliability_drawing, reliability_page
    from wrp_jax.runs.segmentation import load_segmentation
    from wrp_jax.segmentation.clip import segment_clip
    from wrp_jax.segmentation.temperature import KEY

    source = open_source(data)
    check_output(output, input_folder(data))
    check_apart(output, workdir)
    listed = read_frames(frames, source)
    network, variables = load_segmentation(workdir, config, source.classes)
    segment = functools.partial(segment_clip, network, variables)
    with waiting("segmenting the frames of --frames"):
        scores = score_segmentation(segment, source, listed, float(variables.get(KEY, 1.0)))
    with sole_writer(output, "--output"):
        text = json.dumps(scores, indent=1) + "\n"
        write_atomically(output / "reliability.json", text.encode())
        write_atomically(output / "reliability.html", reliability_page(scores).encode())
        write_atomically(output / "reliability.svg", reliability_drawing(scores).encode())
    return scores
