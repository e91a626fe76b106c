import cv2
import numpy as np

from wrp_jax.training.segmentation.colour_jitter import colour_jitter


def test_no_jitter_changes_nothing_but_rounding(rng):
    image = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    same = colour_jitter(rng, image, 0.0)
    # The way through hue costs a few grey levels.
    assert np.abs(same.astype(int) - image).max() <= 8


def test_grey_stays_grey_and_colours_turn(rng):
    grey = np.full((4, 4, 3), 120, np.uint8)
    out = [colour_jitter(rng, grey, 0.25)[0, 0] for _ in range(50)]
    assert np.ptp(np.array(out, int), axis=1).max() <= 1
    assert 60 <= np.min(out) < 115 and 125 < np.max(out) <= 200
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    hues = [
        cv2.cvtColor(colour_jitter(rng, red, 0.25), cv2.COLOR_RGB2HSV_FULL)[0, 0, 0]
        for _ in range(100)
    ]
    turns = (np.array(hues, int) + 128) % 256 - 128
    assert turns.min() < -40 and turns.max() > 40 and np.abs(turns).max() <= 66
