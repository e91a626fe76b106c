from __future__ import annotations

import numpy as np

from wrp_jax.labelling.flow_pictures import flow_pictures
from wrp_jax.types import ClipCues


def cues(backward, forward):
    n = len(backward) + 1
    shape = (n, 6, 8)
    nothing = np.zeros((*shape, 0), np.float32)
    return ClipCues(np.zeros((*shape, 3), np.uint8), backward, forward, nothing, nothing)


def test_every_frame_shows_its_flow_towards_the_labelled_one():
    backward = np.zeros((4, 6, 8, 2), np.float32)
    forward = np.zeros((4, 6, 8, 2), np.float32)
    backward[..., 0], forward[..., 0] = 2, -2  # to the right into the past, to the left back
    clip = cues(backward, forward)

    def section(start, stop, flows):
        assert 0 <= start < stop <= 5
        part = slice(start, stop - 1)
        return clip._replace(flow_backward=backward[part], flow_forward=forward[part])

    pictures = flow_pictures(section, [2], [0, 2, 3, 4])
    assert pictures.shape == (4, 6, 8, 3)
    assert (pictures[1] == 255).all()
    assert (pictures[[2, 3]] == [255, 0, 0]).all()  # red: right
    assert pictures[0, 0, 0, 2] == 255 and pictures[0, 0, 0, 0] == 0  # cyan: left
    forward[:] = backward[:] = 0
    assert flow_pictures(section, [2], [0, 2]) is None
