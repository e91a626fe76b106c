"""The picture of a window, from an output of ``propagate.py`` that is made here."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from experiments import strip
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.data.windows import choose_windows
from wrp_jax.types import UserError


@pytest.fixture
def window(tmp_path):
    """A street of five frames; warp-refine is right, motion-only says the given label again."""
    source = open_source("synthetic:clips=1,frames=5,height=32,width=64")
    (window,) = choose_windows(source, windows=None, keyframes=None, key_every=5, horizon=2)
    given = source.label(window.sequence, window.key)
    for name in source.frame_names(window.sequence):
        truth = source.label(window.sequence, name)
        for folder, label in ((tmp_path, truth), (tmp_path / "methods" / "motion-only", given)):
            LabelWriter(folder, source.classes).write(
                window.sequence, name, label, np.ones(truth.shape)
            )
    (tmp_path / "metrics.json").write_text(json.dumps({"method": "warp-refine"}))
    return source, window, tmp_path


def test_every_label_stands_in_the_picture_in_its_own_colours(window):
    source, where, output = window
    methods = ["motion-only", "warp-refine"]
    pictures = strip.read_pictures(source, where, output, methods, [2, -2])
    assert pictures.distances == (-2, 0, 2) and pictures.has_truth.tolist() == [True, False, True]
    np.testing.assert_array_equal(pictures.labels["warp-refine"], pictures.truth)
    figure = strip.draw(pictures, source.classes, others=4)
    seen = np.asarray(Image.open(io.BytesIO(strip.encode(figure))).convert("RGB"))
    assert seen.shape == (figure.height, figure.width, 3)
    # The bottom row is the truth, enlarged and with nothing written over it.
    width, height = 64 * strip.ZOOM, 32 * strip.ZOOM
    right, bottom = (n - strip.MARGIN * strip.ZOOM for n in figure.size)
    shown = seen[bottom - height : bottom, right - width : right]
    np.testing.assert_array_equal(
        shown[:: strip.ZOOM, :: strip.ZOOM], source.classes.colors[pictures.truth[2]]
    )


def test_what_is_not_there_is_named(window):
    source, where, output = window
    with pytest.raises(UserError, match="has no labels of static, only of motion-only, warp-ref"):
        strip.read_pictures(source, where, output, ["static"], [1])
    with pytest.raises(UserError, match="the window has no frame at 3"):
        strip.read_pictures(source, where, output, ["warp-refine"], [-1, 3])
