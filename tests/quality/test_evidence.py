import numpy as np

from wrp_jax.quality.evidence import SIGNS, border_places, measure, on_grid
from wrp_jax.quality.signs import Signs


def halves():
    labels = np.zeros((6, 10), np.uint8)
    labels[:, 5:] = 1
    return labels


def test_borders_are_places_beside_another_label():
    border = border_places(halves())
    assert border[:, 4:6].all() and not border[:, :4].any() and not border[:, 6:].any()
    assert border_places(halves().T.copy())[4:6].all()
    assert not border_places(np.zeros((4, 4), np.uint8)).any()


def test_sums_are_those_of_each_class():
    labels = halves()
    labels[0, 0] = 255  # nothing is said there
    shift = np.full(labels.shape, 2.0, np.float32)
    lost, colour = np.zeros_like(shift), np.zeros_like(shift)
    lost[:, 0], lost[:, 6], colour[3, 9] = 1, 1, 0.3
    confidence = np.full(labels.shape, 255, np.uint8)
    confidence[5, 9] = 0
    found = measure(labels, confidence, Signs(shift, lost, colour), 3)
    column = {name: found[:, i].tolist() for i, name in enumerate(SIGNS)}
    assert column["places"] == [29, 30, 0]
    assert column["border"] == [8, 6, 0]  # two of the first class lie beside the place without one
    assert column["shift"] == [16, 12, 0]
    assert column["unsure"] == [0, 1, 0]
    assert column["lost"] == [3, 6, 0]  # near borders alone
    assert column["unlike"] == [0, 1, 0]
    np.testing.assert_allclose(column["colour"], [0, 0.3, 0], rtol=1e-6)


def test_labels_are_kept_in_bytes():
    labels = np.array([[0, 3], [-1, 400]], np.int32)
    small, sure = on_grid(labels, np.array([[0.0, 1.0], [0.5, 0.25]], np.float32))
    assert small.tolist() == [[0, 3], [255, 255]] and sure.tolist() == [[0, 255], [128, 64]]
