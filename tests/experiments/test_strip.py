"""The picture of a window, from a small output of ``propagate.py``."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments import strip
from experiments.canvas import MARGIN, ZOOM
from wrp_jax.types import UserError


def test_every_label_stands_in_the_picture_in_its_own_colours(labelled_street):
    source, where, output = labelled_street
    methods = ["motion-only", "warp-refine"]
    pictures = strip.read_pictures(source, where, output, methods, [2, -2])
    assert pictures.distances == (-2, 0, 2) and pictures.has_truth.tolist() == [True, False, True]
    np.testing.assert_array_equal(pictures.labels["warp-refine"], pictures.truth)
    figure = strip.draw(pictures, source.classes, others=4)
    seen = np.asarray(Image.open(io.BytesIO(strip.encode(figure))).convert("RGB"))
    assert seen.shape == (figure.height, figure.width, 3)
    # The bottom row is the truth, enlarged and with nothing written over it.
    width, height = 64 * ZOOM, 32 * ZOOM
    right, bottom = (n - MARGIN * ZOOM for n in figure.size)
    shown = seen[bottom - height : bottom, right - width : right]
    np.testing.assert_array_equal(shown[::ZOOM, ::ZOOM], source.classes.colors[pictures.truth[2]])


def test_what_is_not_there_is_named(labelled_street):
    source, where, output = labelled_street
    with pytest.raises(UserError, match="has no labels of static, only of motion-only, warp-ref"):
        strip.read_pictures(source, where, output, ["static"], [1])
    with pytest.raises(UserError, match="the window has no frame at 3"):
        strip.read_pictures(source, where, output, ["warp-refine"], [-1, 3])
