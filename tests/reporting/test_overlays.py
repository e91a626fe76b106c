import io

import numpy as np
import pytest
from PIL import Image

from wrp_jax.reporting import overlays
from wrp_jax.types import UNLABELLED, ClassMap

CLASSES = ClassMap(
    ids=(0, 7, 255),
    names=("road", "car", "void"),
    colors=np.array([[128, 64, 128], [0, 0, 142], [10, 20, 30]], np.uint8),
    void=(False, False, True),
)
LABELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, UNLABELLED, UNLABELLED]])


def rgba(png):
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_colors_are_those_of_the_classes():
    colored = overlays.colorize(LABELS, CLASSES)
    np.testing.assert_array_equal(colored[0, 0], [128, 64, 128])
    np.testing.assert_array_equal(colored[2, 0], [10, 20, 30])
    np.testing.assert_array_equal(colored[2, 3], [128, 128, 128])


def test_contours_separate_labels():
    expected = [[0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]]
    np.testing.assert_array_equal(overlays.contours(LABELS), np.array(expected, bool))
    assert not overlays.contours(np.zeros((5, 5), int)).any()


def test_overlay_mixes_and_leaves_unlabelled_pixels_alone():
    image = np.full((3, 4, 3), 100, np.uint8)
    mixed = overlays.overlay(image, LABELS, CLASSES, opacity=0.5)
    np.testing.assert_allclose(mixed[0, 0], [114, 82, 114], atol=1)
    np.testing.assert_array_equal(mixed[2, 3], [100, 100, 100])
    np.testing.assert_array_equal(mixed[1, 0], [255, 255, 255])
    np.testing.assert_array_equal(image, 100)


@pytest.mark.parametrize("shape", [(1, 1), (17, 31), (120, 160)])
def test_labelled_frames_are_marked(shape):
    image, labels = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.int32)
    marked = overlays.overlay(image, labels, CLASSES, is_key=True)
    np.testing.assert_array_equal(marked[0, 0], overlays.KEY_COLOR)
    np.testing.assert_array_equal(marked[-1, -1], overlays.KEY_COLOR)
    plain = overlays.overlay(image, labels, CLASSES)
    assert (plain == plain[0, 0]).all()


def test_errors_are_red_where_wrong_and_grey_where_void():
    truth = np.array([[0, 1, 2, 0]])
    shown = rgba(overlays.error_png(np.array([[0, 0, 0, UNLABELLED]]), truth, CLASSES))
    assert shown[0, 0, 3] == 0
    np.testing.assert_array_equal(shown[0, 1, :3], overlays.WRONG_COLOR)
    np.testing.assert_array_equal(shown[0, 2, :3], [128, 128, 128])
    np.testing.assert_array_equal(shown[0, 3, :3], overlays.WRONG_COLOR)


def test_a_black_background_does_not_darken_the_frame():
    colors = np.array([[0, 0, 0], [0, 0, 142], [0, 0, 0]], np.uint8)
    classes = ClassMap((0, 1, 255), ("background", "car", "void"), colors, (False, False, True))
    image = np.full((2, 6, 3), 100, np.uint8)
    labels = np.repeat([[0, 1, 2]], 2, axis=1).reshape(1, 6).repeat(2, axis=0)
    mixed = overlays.overlay(image, labels, classes)
    np.testing.assert_array_equal(mixed[0, 0], [100, 100, 100])
    np.testing.assert_allclose(mixed[0, 2], [50, 50, 121], atol=1)
    np.testing.assert_array_equal(mixed[0, 4], [50, 50, 50])
