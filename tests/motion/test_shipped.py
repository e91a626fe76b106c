"""The shipped network mends DIS on pictures it has never seen."""

import dataclasses

import numpy as np

from wrp_jax.config import MotionConfig
from wrp_jax.data.flow_files import read_flow
from wrp_jax.data.images import decode_frame
from wrp_jax.motion.build import build_motion
from wrp_jax.types import clip_of

CONFIG = MotionConfig(name="refined_dis")


def test_it_is_better_than_what_it_mends(shared_data):
    folder = shared_data / "flow_samples" / "flyingchairs_03"
    first, second = (decode_frame((folder / f"frame{k}.png").read_bytes(), "") for k in (1, 2))
    # A part is enough, of a size that is no multiple of the network's.
    clip = clip_of(np.stack([image[60:310, 100:420] for image in (first, second)]))
    truth = read_flow(folder / "flow.flo")[60:310, 100:420]
    errors = []
    for name in ("refined_dis", "dis"):
        motion = build_motion(dataclasses.replace(CONFIG, name=name))
        flow = motion(clip, [0], [1])
        assert flow.shape == (1, 250, 320, 2) and flow.dtype == np.float32
        errors.append(np.linalg.norm(flow[0] - truth, axis=-1).mean())
    assert errors[0] < 0.85 * errors[1]
