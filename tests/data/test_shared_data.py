"""The real sequences that lie beside the repository open and hold what their tables say."""

from pathlib import Path

import numpy as np
import pytest

from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import validate
from wrp_jax.data.windows import read_windows, window_frames, windows_of_keyframes

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
SETS = {
    "camvid": ((360, 480, 3), {"0001TP": 62, "0006R0": 101, "0016E5": 204, "0016E5_15hz_a": 50}),
    "chen_xiph": ((160, 240, 3), {"bus": 85, "ice": 80, "salesman": 81, "stefan": 76}),
    "davis2016": (
        (480, 854, 3),
        {"blackswan": 50, "car-shadow": 40, "dog": 60, "drift-straight": 50, "scooter-black": 43},
    ),
}
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the real sequences are not beside this repository"
)


@pytest.mark.parametrize("name", SETS)
def test_opens_and_validates(name):
    shape, counts = SETS[name]
    source = open_source(str(SHARED / name))
    assert {s: len(source.frame_names(s)) for s in source.sequences} == counts
    assert all(len(source.label_names(s)) == n for s, n in counts.items())
    split = next((SHARED / name / "splits").glob("disjoint*.txt"))
    windows = read_windows(split, source)
    assert {len(window_frames(w, source)) for w in windows} == {21}
    validate(source, windows)
    known = KnownLabels(source, windows)
    assert len(known.items) == len(windows)
    item = known.items[0]
    assert item.frame().shape == shape and item.label().shape == shape[:2]
    assert set(np.unique(item.label())) <= set(range(source.classes.num_classes))


def test_default_windows_of_fully_labelled_video_hold_one_frame_each():
    source = open_source(str(SHARED / "chen_xiph"))
    windows = windows_of_keyframes(source, None, 10)
    assert len(windows) == 322 and all(w.first == w.key == w.last for w in windows)


def test_stills_join_the_keyframes():
    source = open_source(str(SHARED / "camvid"))
    windows = read_windows(SHARED / "camvid/splits/disjoint_a.txt", source)
    known = KnownLabels(source, windows, [parse_stills(f"{SHARED}/camvid:splits/train_far.txt")])
    assert len(known.items) == 2 + 359
    assert [i.name for i in known.items[:2]] == ["000010", "000031"]
