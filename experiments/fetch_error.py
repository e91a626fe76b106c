"""How well does a motion fetch each frame of a video from the one before? No truth is needed.

python -m experiments.fetch_error --config=configs/folder.py --data=D [--config.motion.name=…]
python -m experiments.fetch_error --config=configs/motion_video.py --data=D --workdir=RUN

What self-supervised training makes smaller. It is no end-point error: where a surface comes into
sight the true flow leads to what hid it, and a wrong one may fetch the right colour.

Finding: DIS fetches better than ``refined_dis`` as shipped, and training on the video brings the
network level with it (results/fetch_error.json).
"""

from __future__ import annotations

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jaxtyping import Array, Float

from experiments.record import write_result
from wrp_jax.cli import command_line
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import read_clip
from wrp_jax.ops.warp import consistency_error, warp
from wrp_jax.runs.motion import motion_of
from wrp_jax.training.motion.losses import census, census_error
from wrp_jax.types import UserError


@jax.jit
def fetch_errors(
    target: Float[Array, "1 h w 3"],
    source: Float[Array, "1 h w 3"],
    flow: Float[Array, "1 h w 2"],
    reverse: Float[Array, "1 h w 2"],
) -> Float[Array, "3"]:
    """Means over a frame: |colour difference| of 255, census difference, share that comes home.

    Args:
      target: RGB, 0 … 255.
      source: the same.
      flow: on ``target``, into ``source``.
      reverse: on ``source``, into ``target``; what comes back to within a pixel comes home.
    """
    moved, _ = warp(source, flow)
    home = consistency_error(flow, reverse) < 1
    return jnp.stack(
        [
            jnp.abs(moved - target).mean(),
            census_error(census(moved), census(target)).mean(),
            home.mean(),
        ]
    )


def main(config_flag: flags.FlagHolder) -> None:
    config = command_line.read_config(config_flag)
    if flags.FLAGS.every < 1 or not flags.FLAGS.data:
        raise UserError("--data=D must be given, and --every must be at least 1.")
    motion = motion_of(config, flags.FLAGS.workdir)
    source = open_source(flags.FLAGS.data, labelled=False)
    errors = []
    for sequence in source.sequences:
        names = source.frame_names(sequence)
        for i in range(1, len(names), flags.FLAGS.every):
            near = names[max(0, i - 2) : i + 1]
            clip = read_clip(source, sequence, near)
            target, before = [clip.count - 1], [clip.count - 2]
            flows = [motion(clip, target, before), motion(clip, before, target)]
            pictures = [np.float32(clip.stack(at)) for at in (target, before)]
            errors.append(fetch_errors(*pictures, *map(np.nan_to_num, flows)))
    if not errors:
        raise UserError(f"{source.name} has no sequence of two frames.")
    colour, structure, home = np.mean(errors, axis=0)
    print(
        f"{config.motion.name}, {len(errors)} pairs: colour {colour:.3f} of 255, census "
        f"{structure:.4f}, {home:.1%} come home"
    )
    if flags.FLAGS.record:
        found = {"colour": colour, "census": structure, "consistent": 100 * home}
        write_result(flags.FLAGS.record, found, note=f"means of {len(errors)} pairs")


if __name__ == "__main__":
    flags.DEFINE_string("data", None, "The video.")
    flags.DEFINE_string("workdir", None, "Of the run that trained the motion.")
    flags.DEFINE_integer("every", 1, "Measure every n-th pair of each sequence.")
    flags.DEFINE_string("record", None, "Write results/NAME.json.")
    sys.exit(command_line.run(functools.partial(main, command_line.define_config())))
