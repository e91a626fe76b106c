"""The film of a window, from a small output of ``propagate.py``."""

import io

import numpy as np
from PIL import Image

from experiments import film
from experiments.canvas import MARGIN, ZOOM
from experiments.strip import read_pictures
from wrp_jax.reporting.overlays import KEY_COLOR


def test_it_begins_at_the_labelled_frame_and_shows_every_label_in_its_colours(labelled_street):
    source, where, output = labelled_street
    pictures = read_pictures(source, where, output, ["motion-only", "warp-refine"], range(-2, 3))
    drawn = film.draw(pictures, source.classes)
    data = film.encode(drawn, 2)
    moving = Image.open(io.BytesIO(data))
    assert (moving.n_frames, moving.info["loop"]) == (5, 0)
    seen, times = [], []
    for i in range(5):
        moving.seek(i)
        times.append(moving.info["duration"])
        seen.append(np.asarray(moving.convert("RGB")).astype(int))
    assert times == [film.HOLD, film.STEP, film.PAUSE, film.STEP, film.STEP]
    for place, i in enumerate((2, 3, 4, 0, 1)):
        near = np.abs(seen[place] - np.asarray(drawn[i]).astype(int))
        assert near.mean() < 1, "one palette is near enough to all colours"
    # The right panel is warp-refine; no words lie above its upper rows.
    left = seen[0].shape[1] - (MARGIN + 64) * ZOOM
    top = np.flatnonzero((np.abs(seen[0][:, left] - KEY_COLOR) <= 24).all(axis=1))[0]
    panel = seen[1][top : top + 10 * ZOOM : ZOOM, left : left + 64 * ZOOM : ZOOM]
    wanted = source.classes.colors[pictures.truth[3][:10]].astype(int)
    assert np.abs(panel - wanted).max() <= 24
    assert (np.abs(seen[1][top, left] - KEY_COLOR) > 24).any(), "only one frame is labelled by hand"
