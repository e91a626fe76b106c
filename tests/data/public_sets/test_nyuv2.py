"""A made-up NYU-Depth V2: three files of MATLAB, five pictures of 4x6, two scenes of raw video."""

import sys

import h5py
import numpy as np
import pytest
import scipy.io
from made_up_sets import (
    converted,
    expect_clips,
    expect_resume,
    expect_sentence,
    parametrize_mistakes,
    rows,
    write,
    written,
)

from wrp_jax.data.public_sets.convert import PUBLIC_SETS
from wrp_jax.data.public_sets.nyuv2_video import undistort
from wrp_jax.data.windows import read_windows, window_frames, windows_of_keyframes

NAMES = ("wall", "floor", "otherprop")
MAPPING = (3, 1, 2, 3, 3)
TRAIN, TEST = (2, 4, 5), (3, 1)


RAW = (
    "kitchen_0004/r-1294886362.238178-3118787619.ppm",
    "basement_0001a/r-1316653580.484909-1316500621.ppm",
    "kitchen_0004/r-1294886370.000000-3118787619.ppm",
    "basement_0001a/r-1316653588.984909-1316500621.ppm",
    "office_0003/r-1300000000.000001-0000000001.ppm",
)
KEY = 1316653580_484909


def _write_set(path, images, labels, raw=RAW):
    """Axes as h5py sees those of MATLAB: the last comes first; texts are references."""
    with h5py.File(path, "w") as file:
        file["images"] = np.transpose(images, (0, 3, 2, 1))
        file["labels"] = np.transpose(labels, (0, 2, 1))
        cells = file.create_dataset("rawRgbFilenames", (1, len(raw)), h5py.ref_dtype)
        for i, name in enumerate(raw):
            text = np.array([[ord(letter)] for letter in name], np.uint16)
            cells[0, i] = file.create_dataset(f"#refs#/{i}", data=text).ref


def _write_scene(folder, times):
    """Frames whose grey is their place, at these microseconds, beside what else is in a scene."""
    folder.mkdir(parents=True)
    names = []
    for place, time in enumerate(times):
        name = f"r-{time // 1_000_000}.{time % 1_000_000:06d}-{place}.ppm"
        write(folder / name, np.full((4, 6, 3), place % 256))
        names += [name, name.replace("r-", "d-").replace("ppm", "pgm"), f"a-{time}-{place}.dump"]
    for other in names[1:3]:
        (folder / other).write_bytes(b"not looked at")
    (folder / "INDEX.txt").write_text("".join(f"{name}\n" for name in names))
    return [folder / name for name in names[::3]]


def _pictures():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 4, 6, 3), np.uint8)
    labels = rng.integers(0, len(MAPPING) + 1, (5, 4, 6), np.uint16)
    return images, labels


def _write_cells(path, names, mapping):
    cells = np.empty((1, len(names)), object)
    cells[0] = names
    scipy.io.savemat(path, {"className": cells, "mapClass": np.array([mapping], np.uint8)})


@pytest.fixture
def given(tmp_path):
    root = tmp_path / "nyu"
    root.mkdir()
    _write_set(root / "nyu_depth_v2_labeled.mat", *_pictures())
    columns = {"trainNdxs": np.c_[list(TRAIN)], "testNdxs": np.c_[list(TEST)]}
    scipy.io.savemat(root / "splits.mat", columns)
    _write_cells(root / "classMapping40.mat", NAMES, MAPPING)
    return root


def test_pictures_labels_and_splits(given, tmp_path):
    source = converted("nyuv2", given, tmp_path / "D")
    assert source.classes.names == (*NAMES, "void") and source.classes.ids == (1, 2, 3, 0)
    assert source.classes.void == (False, False, False, True)
    assert source.sequences == ("test", "train")
    assert rows(tmp_path / "D", "train") == [("train", f"{i:04d}") for i in (2, 4, 5)]
    assert rows(tmp_path / "D", "test") == [("test", f"{i:04d}") for i in (1, 3)]
    images, labels = _pictures()
    table = np.array([0, *MAPPING])
    for split, numbers in (("train", TRAIN), ("test", TEST)):
        for number in numbers:
            name = f"{number:04d}"
            np.testing.assert_array_equal(source.frame(split, name), images[number - 1])
            np.testing.assert_array_equal(written(source, split, name), table[labels[number - 1]])


def test_clips_of_it(given, tmp_path):
    _write_scene(given / "basement_0001a", [int(t) for t in _at_25_hz(before=2, after=2)])
    source, lists = expect_clips("nyuv2", given, tmp_path)
    assert len(source.frame_names("train_0002")) == 9 and lists == ["train_windows"]


def test_a_stopped_run_goes_on(given, tmp_path):
    expect_resume("nyuv2", given, tmp_path / "D")


def test_without_h5py_the_extra_is_named(given, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    expect_sentence("nyuv2", given, tmp_path / "D", r"pip install -e \"\.\[nyu\]\"")


@parametrize_mistakes(
    ("nothing", "holds no nyu_depth_v2_labeled.mat nor splits.mat nor classMapping40.mat"),
    ("split", "holds no splits.mat: put"),
    ("broken", "nyu_depth_v2_labeled.mat cannot be read"),
    ("matlab", "splits.mat cannot be read"),
    ("number", "trainNdxs must be numbers from 1 to 5"),
    ("mapping", "mapClass must be numbers from 1 to 2"),
    ("size", r"cannot be read \(images of .*, labels of"),
    ("ids", "picture 4 has 24 pixels with ids that are none of this set, the first 6"),
)
def test_mistakes_are_told_in_one_sentence(given, tmp_path, spoil, says):
    data = given
    images, labels = _pictures()
    if spoil == "nothing":
        data = tmp_path / "empty"
        data.mkdir()
    elif spoil == "split":
        (data / "splits.mat").unlink()
    elif spoil == "broken":
        (data / "nyu_depth_v2_labeled.mat").write_bytes(b"MATLAB 7.3")
    elif spoil == "matlab":
        (data / "splits.mat").write_bytes(b"nothing of the kind")
    elif spoil == "number":
        scipy.io.savemat(data / "splits.mat", {"trainNdxs": [[0]], "testNdxs": [[1]]})
    elif spoil == "mapping":
        _write_cells(data / "classMapping40.mat", NAMES[:2], MAPPING)
    elif spoil == "size":
        _write_set(data / "nyu_depth_v2_labeled.mat", images, labels[:, :3])
    else:
        labels[3] = 6
        _write_set(data / "nyu_depth_v2_labeled.mat", images, labels)
    early = spoil != "ids"
    expect_sentence("nyuv2", data, tmp_path / "D", says, untouched=early)


def test_a_missing_variable(given, tmp_path):
    scipy.io.savemat(given / "splits.mat", {"trainNdxs": [[1]]})
    expect_sentence("nyuv2", given, tmp_path / "D", r"cannot be read \('testNdxs'\)")
    assert "nyuv2" in PUBLIC_SETS


def _at_25_hz(before, after):
    """Times around the labelled frame, a little uneven, as those of the camera."""
    rng = np.random.default_rng(0)
    steps = np.arange(-before * 25, after * 25 + 1)
    return sorted(KEY + 40_000 * steps + np.where(steps, rng.integers(-9000, 9000, len(steps)), 0))


@pytest.mark.parametrize("place", ["", "basements/"])
def test_frames_of_the_raw_video_lie_around_labelled_ones_at_two_hertz(
    given, tmp_path, caplog, place
):
    times = [int(t) for t in _at_25_hz(before=6, after=8)]
    _write_scene(given / f"{place}basement_0001a", times)
    source = converted("nyuv2", given, tmp_path / "D")
    # The two pictures of this scene; that of the office stays alone.
    assert source.sequences == ("test", "train", "train_0002", "train_0004")
    assert "1 of 3 labelled pictures have no raw video there" in caplog.text
    names = source.frame_names("train_0002")
    assert len(names) == 21 and source.label_names("train_0002") == {str(KEY)}
    seconds = (np.array([int(name) for name in names]) - KEY) / 1e6
    np.testing.assert_allclose(seconds, np.arange(-10, 11) / 2, atol=0.03)
    # The pictures: the set's own in the middle, frames of the video around it.
    np.testing.assert_array_equal(source.frame("train_0002", str(KEY)), _pictures()[0][1])
    for name in (names[0], names[-1]):
        grey = source.frame("train_0002", name)
        assert (grey[1:-1, 1:-1] == times.index(int(name)) % 256).all()
    # 0004 is 8.5 s later, and the scene ends before its own time.
    assert len(source.frame_names("train_0004")) == 11
    out = tmp_path / "D"
    assert rows(out, "train") == [
        ("train_0002", str(KEY)), ("train_0004", str(KEY + 8_500_000)), ("train", "0005")
    ]  # fmt: skip
    assert rows(out, "test") == [("test", "0001"), ("test", "0003")]
    listed = read_windows(out / "splits/train_windows.txt", source)
    assert [len(window_frames(window, source)) for window in listed] == [21, 11]
    keys = [row for row in rows(out, "train") if row[0] != "train"]
    assert listed == windows_of_keyframes(source, keys, horizon=10)


def test_an_interrupted_recording_ends_the_window(given, tmp_path):
    times = [int(t) for t in _at_25_hz(before=6, after=6)]
    pause = [t for t in times if not KEY + 2_100_000 < t < KEY + 3_900_000]
    _write_scene(given / "basement_0001a", pause)
    source = converted("nyuv2", given, tmp_path / "D")
    assert len(source.frame_names("train_0002")) == 15  # ten before, four after


def test_cut_files_are_replaced_by_their_neighbours_and_holes_are_counted(given, tmp_path):
    times = [int(t) for t in _at_25_hz(before=6, after=6)]
    paths = _write_scene(given / "basement_0001a", times)
    middle = times.index(KEY)
    paths[middle + 25].write_bytes(b"P6 6 4 255 cut")
    paths[middle - 25].unlink()
    source = converted("nyuv2", given, tmp_path / "D")
    names = source.frame_names("train_0002")
    assert len(names) == 21 and str(times[middle + 25]) not in names
    for path in paths[middle + 90 : middle + 125]:
        path.unlink()
    says = r"lacks 2 frames of the raw video around labelled ones, the first is .*0001a/r-13166535"
    expect_sentence("nyuv2", given, tmp_path / "E", says, untouched=True)
    (given / "basement_0001a/INDEX.txt").unlink()
    source = converted("nyuv2", given, tmp_path / "E")
    assert len(source.frame_names("train_0002")) == 18  # nothing says that there was more


def test_the_lens_is_corrected_as_the_toolbox_does():
    """Brown's model: where a pixel without distortion lies in the picture with it."""
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    frame = np.stack([x % 256, y % 256, np.full_like(x, 255)], -1).astype(np.uint8)
    found = undistort(frame)
    fx, fy, cx, cy = 518.85790117450188, 519.46961112127485, 325.58244941119034, 253.73616633400465
    k1, k2, k3 = 0.20796615318809061, -0.58613825163911781, 0.49856986684705107
    p1, p2 = 0.00072231363135888329, 0.0010479627195765181
    for u, v in ((40, 60), (325, 250), (600, 100), (220, 440)):
        a, b = (u - cx) / fx, (v - cy) / fy
        r = a * a + b * b
        radial = 1 + k1 * r + k2 * r**2 + k3 * r**3
        at = (
            fx * (a * radial + 2 * p1 * a * b + p2 * (r + 2 * a * a)) + cx,
            fy * (b * radial + p1 * (r + 2 * b * b) + 2 * p2 * a * b) + cy,
        )
        assert found[v, u, :2] == pytest.approx(np.array(at) % 256, abs=0.6)
    white = (found == 255).all(axis=-1)
    assert white[0].all() and white[-1].all() and white[:, 0].all() and white[:, -1].all()
    assert not white[8:-8, 8:-8].any()
