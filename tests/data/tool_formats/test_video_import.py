"""Videos that are written here, whole, cut, turned and of varying rate."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.data.survey.report import survey
from wrp_jax.data.tool_formats.import_project import import_project
from wrp_jax.types import UserError

av = pytest.importorskip("av", reason="PyAV is not installed: pip install -e '.[video]'")

TIMES = (0, 1, 2, 5, 6, 7, 20, 21)
"""In tenths of a second: the rate varies."""
SIZE = (32, 48)


def film(path, count=8):
    """Grey frames that get brighter, the left upper quarter of each black."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 10)
        for place in range(count):
            pixels = np.full((*SIZE, 3), 40 + 20 * (place % 10), np.uint8)
            pixels[:16, :24] = 0
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = TIMES[place] if count == len(TIMES) else place
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi"])
def test_frames_by_their_place_and_their_times(tmp_path, suffix):
    path = film(tmp_path / f"clip.{suffix}", count=3 if suffix == "avi" else len(TIMES))
    said = import_project(path, tmp_path / "D")
    source = open_source(str(tmp_path / "D"), labelled=False)
    count = 3 if suffix == "avi" else len(TIMES)
    assert f"holds {count} frames" in said
    assert source.frame_names("clip") == tuple(f"{i:06d}" for i in range(count))
    for place, name in enumerate(source.frame_names("clip")):
        frame = source.frame("clip", name).astype(int)
        assert frame.shape == (*SIZE, 3) and abs(frame[28, 40] - 40 - 20 * place).max() < 8
        assert frame[4, 4].max() < 16
    rows = (tmp_path / "D/clip/times.csv").read_text().split()
    assert rows[0] == "frame,seconds" and len(rows) == count + 1
    if suffix != "avi":  # which has no times of its own
        assert [round(float(row.split(",")[1]) * 10) for row in rows[1:]] == list(TIMES)
    assert "is unchanged" in import_project(path, tmp_path / "D")


# Of the matrix in an MP4: which way the columns and rows go, and the corner that was the first.
TURNS = {
    "clockwise": ((0, 1, -1, 0), SIZE[::-1], (4, -4)),
    "counterclockwise": ((0, -1, 1, 0), SIZE[::-1], (-4, 4)),
    "half": ((-1, 0, 0, -1), SIZE, (-4, -4)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_film_is_turned_as_it_says(tmp_path, turn):
    path = film(tmp_path / "clip.mp4")
    (a, b, c, d), size, corner = TURNS[turn]
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    one = 1 << 16
    struct.pack_into(">9i", data, matrix, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    label = tmp_path / "2.png"
    Image.fromarray(np.ones(size, np.uint8)).save(label)
    import_project(path, tmp_path / "D", labels=[str(label)])
    assert open_source(str(tmp_path / "D")).label_names("clip") == {"000002"}
    pixels = np.array(Image.open(tmp_path / "D/clip/frames/000000.png"))
    assert pixels.shape == (*size, 3)
    assert pixels[corner].max() < 16 and (pixels < 16).all(-1).mean() < 0.3


def test_nothing_is_written_of_a_label_of_another_size_or_of_no_frame(tmp_path):
    path = film(tmp_path / "clip.mp4")
    for name, size, said in (
        ("2.png", SIZE[::-1], "2.png is 32x48 but its frame 000002 is 48x32"),
        ("8.png", SIZE, "label of frame 8, and the video has the frames 000000 to 000007"),
    ):
        Image.fromarray(np.ones(size, np.uint8)).save(tmp_path / name)
        with pytest.raises(UserError, match=said):
            import_project(path, tmp_path / "D", labels=[str(tmp_path / name)])
        assert not (tmp_path / "D").exists()


def test_a_cut_film_says_how_far_it_goes(tmp_path):
    path = film(tmp_path / "clip.mkv", count=80)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"broken or cut off \(.*\) after frame \d+ at .* s: copy"):
        import_project(path, tmp_path / "D")
    assert not (tmp_path / "D").exists()
    lines, problems = survey(path, 200)
    assert problems == 1 and "frames of 48x32" in lines[1] and "is broken or cut off" in lines[2]
    import_project(path, tmp_path / "D", partial=True)
    names = open_source(str(tmp_path / "D"), labelled=False).frame_names("clip")
    assert 20 < len(names) < 60


@pytest.mark.parametrize(("limit", "count"), [(200, "8"), (3, "8 (3 looked at)")])
def test_what_the_doctor_says_of_a_film(tmp_path, limit, count):
    path = film(tmp_path / "clip.mp4")
    lines, problems = survey(path, limit)
    assert problems == 0 and lines[1].startswith(f"{path}: {count} frames of 48x32; ")
    assert ("a rate that varies" in lines[1]) == (limit == 200)


def test_what_is_no_film(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(UserError, match="cannot be read as a video"):
        import_project(path, tmp_path / "D")
    with pytest.raises(UserError, match=r"clip.mp4 is a video without labels: 'wrp propagate"):
        open_source(str(path))
