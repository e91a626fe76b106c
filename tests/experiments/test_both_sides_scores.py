import json

import numpy as np
import pytest
from PIL import Image

from experiments.both_sides import compare, gaps
from wrp_jax.data.open_source import open_source


def write(path, label):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(label.astype(np.uint8)).save(path)


@pytest.fixture
def data(tmp_path):
    """Six frames, of which 0 and 5 are labelled; the right half is another class."""
    classes = [{"id": 3, "name": "left"}, {"id": 5, "name": "right"}]
    for i in range(6):
        label = np.full((6, 8), 3)
        label[:, 4:] = 5
        write(tmp_path / f"D/a/frames/{i}.png", np.zeros((6, 8, 3)))
        write(tmp_path / f"D/a/labels/{i}.png", label)
        write(tmp_path / f"right/a/labels/{i}.png", label)
        write(tmp_path / f"seam/a/labels/{i}.png", label if i < 3 else 8 - label)
    (tmp_path / "D/classes.json").write_text(json.dumps({"classes": classes}))
    return open_source(str(tmp_path / "D"))


def test_frames_between_labelled_ones_are_scored_and_their_seam_is_seen(data, tmp_path):
    keys = [("a", "5"), ("a", "0")]
    assert gaps(data, keys) == [("a", 0, 5)]
    found = compare(data, keys, {"right": tmp_path / "right", "seam": tmp_path / "seam"})
    assert found["truth"] == {"flips": 0.0}
    assert found["right"] == {"1": 100.0, "2": 100.0, "mean": 100.0, "flips": 0.0}
    # Of either distance one frame is right and one the wrong way round.
    third = pytest.approx(100 / 3, abs=1e-3)
    assert found["seam"] == {"1": third, "2": third, "mean": third, "flips": 100.0}
