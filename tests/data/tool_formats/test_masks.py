"""Run lengths and polygons, against plain loops over pixels."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wrp_jax.data.tool_formats import polygons, run_lengths

MASKS = st.lists(st.booleans(), min_size=1, max_size=60).map(lambda bits: np.array(bits, bool))


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_runs_and_back(mask):
    runs = run_lengths.mask_to_runs(mask)
    assert sum(runs) == len(mask) and all(run > 0 for run in runs[1:])
    np.testing.assert_array_equal(run_lengths.runs_to_mask(runs, len(mask)), mask)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**24), min_size=1, max_size=20))
def test_compressed_counts_and_back(counts):
    assert run_lengths.coco_counts(run_lengths.coco_text(counts)) == counts


def test_compressed_counts_as_cocoapi_writes_them():
    """``pycocotools.mask.encode`` of a square of ones at rows 1-2, columns 1-2 of 4x4."""
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    assert run_lengths.coco_text(run_lengths.mask_to_runs(mask.T.ravel())) == "52203"


@settings(max_examples=40, deadline=None)
@given(MASKS, st.integers(1, 3))
def test_brushes_and_back(mask, height):
    mask = np.tile(mask, (height, 1))
    data = run_lengths.write_brush(mask)
    assert all(0 <= byte <= 255 for byte in data)
    np.testing.assert_array_equal(run_lengths.read_brush(data, *mask.shape) > 0, mask)


def test_a_brush_that_spells_its_bytes_out():
    """Three pixels, whose alpha is 9, 8 and 7: one run of 12 bytes that differ."""
    channels = [1, 2, 3, 9, 4, 5, 6, 8, 7, 7, 7, 7]
    bits = f"{12:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + f"0{1:02b}{11:04b}"
    bits += "".join(f"{byte:08b}" for byte in channels)
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert run_lengths.read_brush(data, 1, 3).tolist() == [[9, 8, 7]]
    for wrong, says in ((data[:-3], "cut off"), (data[:4], "cut off")):
        with pytest.raises(ValueError, match=says):
            run_lengths.read_brush(wrong, 1, 3)
    with pytest.raises(ValueError, match="of 3 pixels"):
        run_lengths.read_brush(data, 2, 3)


def _inside(points, x, y):
    """Whether a ray to the right crosses an odd number of edges."""
    crossed = False
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if (y0 <= y) != (y1 <= y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            crossed = not crossed
    return crossed


def _near_an_edge(points, x, y):
    """Whether rounding decides on which side of an edge the place lies."""
    ends = zip(points, [*points[1:], points[0]], strict=True)
    areas = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for (x0, y0), (x1, y1) in ends]
    return min(map(abs, areas)) < 1e-9


CORNERS = st.tuples(st.integers(-20, 120), st.integers(-20, 120)).map(
    lambda c: (c[0] / 10 + 0.01, c[1] / 10 + 0.01)
)


@settings(max_examples=40, deadline=None)
@example(points=[(0.01, 0.01), (3.3099999999999996, 11.81), (12.01, 5.51)])  # through a centre
@given(st.lists(CORNERS, min_size=3, max_size=7))
def test_polygons_cover_the_pixels_whose_centres_they_hold(points):
    xs, ys = zip(*points, strict=True)
    if max(xs) < 0 or max(ys) < 0 or min(xs) > 9 or min(ys) > 10:
        with pytest.raises(ValueError, match="beside its picture of 9x10"):
            polygons.fill(points, 10, 9)
        return
    expected = [[_inside(points, x + 0.5, y + 0.5) for x in range(9)] for y in range(10)]
    either = [[_near_an_edge(points, x + 0.5, y + 0.5) for x in range(9)] for y in range(10)]
    np.testing.assert_array_equal(
        (polygons.fill(points, 10, 9) != expected) & ~np.array(either), False
    )


def test_polygons_that_are_none():
    for points in ([[1, 2], [3, 4]], [[1, 2], [3, 4], [np.nan, 0]]):
        with pytest.raises(ValueError, match="a polygon"):
            polygons.fill(points, 4, 4)
