import json

import pytest

from wrp_jax.reporting.clips import Clip, FrameRow, clip_line, clip_script, least_sure
from wrp_jax.reporting.clips import read_clip_script as read


def make_clip(tmp_path, name="a b", **more):
    folder = tmp_path / "D" / "x#y"
    return Clip(
        name,
        (
            FrameRow(name, "0", True, 1.0, picture=folder / "0.png"),
            FrameRow(
                name, "1", False, 0.625, 0, True, folder / "é 1.png", 61.25, 50.0, 70.0, "why"
            ),
            FrameRow(name, "2", False, None, picture=folder / "2.png"),
        ),
        **more,
    )


def test_a_script_says_all_of_a_clip(tmp_path):
    text = clip_script(make_clip(tmp_path, has_source=True), tmp_path / "OUT")
    assert text.startswith("wrpClip({") and text.isascii()
    content = read(text)
    pictures = content.pop("pictures")
    assert content == {
        "sequence": "a b", "names": ["0", "1", "2"], "keys": [0], "scored": [1],
        "confidence": [100.0, 62.5, None], "nearest": [0, 0, 0], "source": True,
        "miou": [None, 61.2, None], "range": [[None, None], [50.0, 70.0], [None, None]],
        "doubtful": {"1": "why"},
    }  # fmt: skip
    # As a browser resolves it, from the page and from the disk.
    assert pictures["folder"] == "../D/x%23y"
    assert pictures["address"] == (tmp_path / "D/x#y").as_uri()
    assert pictures["files"] == ["0.png", "%C3%A9%201.png", "2.png"]


def test_frames_without_a_file_are_beside_the_page(tmp_path):
    rows = (FrameRow("a", "0", True, 1.0), FrameRow("a", "1", False, 0.5, picture=tmp_path / "1"))
    assert "pictures" not in read(clip_script(Clip("a", rows[:1]), tmp_path))
    assert read(clip_script(Clip("a", rows), tmp_path))["pictures"]["files"] == [None, "1"]


def test_pictures_in_several_folders(tmp_path):
    rows = [FrameRow("a", n, False, 0.5, picture=tmp_path / n / "f.png") for n in ("x", "y")]
    pictures = read(clip_script(Clip("a", tuple(rows)), tmp_path / "OUT"))["pictures"]
    assert pictures["folder"] == ".." and pictures["files"] == ["x/f.png", "y/f.png"]


@pytest.mark.parametrize("text", ["", "alert(1)", "wrpClip(1);", "wrpClip({"])
def test_other_scripts_are_refused(text):
    with pytest.raises(ValueError):
        read(text)


def test_a_line_sums_a_clip_up(tmp_path):
    assert clip_line(make_clip(tmp_path)) == {
        "sequence": "a b", "frames": 3, "keys": 1, "unlabelled": 1, "doubtful": 1,
        "confidence": [62.5, 62.5], "miou": [61.2, 61.2],
    }  # fmt: skip
    by_hand = Clip("c", (FrameRow("c", "0", True, 1.0),))
    assert json.dumps(clip_line(by_hand)) and "confidence" not in clip_line(by_hand)


def test_estimates_go_before_confidence():
    rows = [FrameRow("a", "0", False, 0.1), FrameRow("a", "1", False, 0.9, miou=30.0)]
    clip = Clip("a", (*rows, FrameRow("a", "2", False, 0.8, miou=20.0)))
    assert [f.name for f in least_sure([clip], 5)] == ["2", "1"]
    assert [f.name for f in least_sure([Clip("a", tuple(rows[:1]))], 5)] == ["0"]
