from __future__ import annotations

import numpy as np
import pytest

from wrp_jax.reporting.flow_colors import color_wheel, flow_colors, flow_strip


def test_the_wheel_is_middleburys():
    wheel = color_wheel()
    assert wheel.shape == (55, 3)
    # One colour each: where spans of 15, 6, 4, 11, 13 and 6 steps begin.
    starts = np.cumsum([0, 15, 6, 4, 11, 13])
    corners = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    np.testing.assert_array_equal(wheel[starts], corners)
    steps = np.abs(np.diff(np.vstack([wheel, wheel[:1]]), axis=0))
    assert (np.count_nonzero(steps, axis=1) == 1).all()  # one colour changes at a time
    np.testing.assert_allclose(steps.sum(), 6)


@pytest.mark.parametrize(
    ("vector", "color"),
    # Places 0, 13.5, 27 and 40.5 of the wheel.
    [
        ((1, 0), (255, 0, 0)),
        ((0, 1), (255, 229, 0)),
        ((-1, 0), (0, 208, 255)),
        ((0, -1), (88, 0, 255)),
    ],
)
def test_directions_have_their_colours(vector, color):
    np.testing.assert_array_equal(flow_colors(np.float32([[vector]]))[0, 0], color)


def test_length_is_saturation_and_void_is_black():
    flow = np.float32([[[0, 0], [1, 0], [2, 0], [9, 0], [np.nan, 0]]])
    white, pale, full, beyond, void = flow_colors(flow, longest=2.0)[0].astype(int)
    assert white.tolist() == [255] * 3 and void.tolist() == [0] * 3
    assert pale[0] == 255 and 120 <= pale[1] <= 135
    assert full.tolist() == [255, 0, 0]
    assert beyond.tolist() == [191, 0, 0]


def test_a_strip_has_one_scale(rng):
    near, far = (np.full((4, 5, 2), (x, 0), np.float32) for x in (1, 4))
    strip = flow_strip([near, None, far])
    assert strip.shape == (3, 4, 5, 3)
    assert (strip[1] == 255).all()
    assert strip[0, 0, 0, 1] > strip[2, 0, 0, 1]
    assert flow_strip([None, np.zeros((4, 5, 2), np.float32)]) is None
    assert flow_strip([None]) is None
