"""A made-up CamVid of pictures of 4x8: stills and labels in colours, films, and SegNet's form."""

import numpy as np
import pytest
from made_up_sets import (
    converted,
    expect_clips,
    expect_resume,
    expect_sentence,
    parametrize_mistakes,
    rows,
    void_names,
    write,
    write_pair,
    written,
)

from wrp_jax.config import published_protocol
from wrp_jax.data.public_sets.camvid import camvid_classes
from wrp_jax.data.windows import read_windows, window_frames, windows_of_keyframes
from wrp_jax.segmentation.for_classes import scores_of

COLORS = camvid_classes(32).colors.reshape(4, 8, 3)
STILLS = ("0001TP_006690", "0001TP_006720", "0001TP_008550", "0006R0_f00930", "0016E5_00390",
          "Seq05VD_f00000")  # fmt: skip


def _still(root, name, value=0, frames="701_StillsRaw_full", labels="LabeledApproved_full"):
    write(root / labels / f"{name}_L.png", COLORS)
    write(root / frames / f"{name}.png", np.full((4, 8, 3), value))


@pytest.fixture
def unpacked(tmp_path):
    root = tmp_path / "camvid"
    for value, name in enumerate(STILLS):
        _still(root, name, value)
    return root


def _film(root, numbers, drive="0001TP"):
    for number in numbers:
        write(root / "video" / f"{drive}_{number:06d}.png", np.full((4, 8, 3), number % 256))


def test_colours_become_the_eleven_classes(unpacked, tmp_path):
    source = converted("camvid", unpacked, tmp_path / "D")
    assert source.sequences == ("0001TP", "0006R0", "0016E5", "Seq05VD")
    assert source.frame_names("0001TP") == ("006690", "006720", "008550")
    assert (source.frame("0001TP", "006720") == 1).all()
    out = tmp_path / "D"
    assert rows(out, "test") == [("0001TP", "008550"), ("Seq05VD", "000000")]
    assert [row[1] for row in rows(out, "train")] == ["006690", "006720", "000930", "000390"]
    found = dict(
        zip(camvid_classes(32).names, written(source, "0006R0", "000930").flat, strict=True)
    )
    names = {color: source.classes.names[i] for color, i in found.items()}
    assert {n for n in names if names[n] == "road"} == {"Road", "LaneMkgsDriv", "LaneMkgsNonDriv"}
    assert {n for n in names if names[n] == "car"} == {
        "Car", "OtherMoving", "SUVPickupTruck", "Train", "Truck_Bus"
    }  # fmt: skip
    assert names["TrafficLight"] == names["Misc_Text"] == "sign_symbol"
    assert {n for n in names if names[n] == "void"} == {"Void"}
    assert scores_of(published_protocol(), source.classes) == 11


def test_all_thirty_two_classes(unpacked, tmp_path):
    source = converted("camvid_32", unpacked, tmp_path / "D")
    assert source.classes.num_classes == 32 and void_names(source.classes) == ["Void"]
    np.testing.assert_array_equal(written(source, "0016E5", "000390"), np.arange(32).reshape(4, 8))
    assert (camvid_classes(32).colors[17] == (128, 64, 128)).all()
    assert camvid_classes(32).names[17] == "Road"


@pytest.mark.parametrize("step", [1, 2])
def test_frames_of_the_film_lie_around_labelled_ones_at_its_rate(unpacked, tmp_path, step):
    _film(unpacked, range(6680 + step % 2 * 4, 6760, step))
    source = converted("camvid", unpacked, tmp_path / "D")
    out = tmp_path / "D"
    first, second = read_windows(out / "splits/train_windows.txt", source)
    begin = 6684 if step == 1 else 6680  # where the film begins
    assert (first.key, first.first) == ("006690", f"{begin:06d}")
    assert (second.key, second.first, second.last) == (
        "006720", f"{6720 - 10 * step:06d}", f"{6720 + 10 * step:06d}"
    )  # fmt: skip
    assert len(window_frames(second, source)) == 21
    assert (source.frame("0001TP", "006720") == 1).all()  # the still, not the film's
    assert (source.frame("0001TP", "006722") == 6722 % 256).all()
    assert not (out / "splits/test_windows.txt").exists()
    if step == 1:
        assert (first, second) == windows_of_keyframes(source, rows(out, "train")[:2], horizon=10)


def test_the_half_at_15_hz_is_a_sequence_of_its_own(unpacked, tmp_path):
    half = range(7959, 7959 + 2 * 44, 2)
    for number in half:
        _still(unpacked, f"0016E5_{number:05d}", number % 256, "CamSeq01", "CamSeq01")
    _film(unpacked, range(7940, 8000, 2), "0016E5")
    source = converted("camvid", unpacked, tmp_path / "D")
    names = source.frame_names("0016E5_15hz")
    assert names == tuple(f"{n:06d}" for n in half)
    assert source.label_names("0016E5_15hz") == set(names)
    out = tmp_path / "D"
    assert rows(out, "val") == [("0016E5_15hz", name) for name in names]
    windows = read_windows(out / "splits/val_windows.txt", source)
    assert [(w.key, w.first, w.last) for w in windows] == [
        (names[i + 10], names[i], names[i + 20]) for i in (0, 21)
    ]
    # The film goes on through it, without its labels.
    assert {"007940", "007959", "007960"} <= set(source.frame_names("0016E5"))
    assert source.label_names("0016E5") == {"000390"}


def test_segnets_form(tmp_path):
    root = tmp_path / "CamVid"
    ids = np.resize(np.arange(12), (4, 8))
    for folder, name in (("train", "0001TP_006690"), ("test", "Seq05VD_f00000")):
        write_pair(root / folder / f"{name}.png", root / f"{folder}annot" / f"{name}.png", ids)
    source = converted("camvid", root, tmp_path / "D")
    np.testing.assert_array_equal(written(source, "Seq05VD", "000000"), ids)
    assert rows(tmp_path / "D", "train") == [("0001TP", "006690")]
    says = "holds labels of 11 classes: give --set=camvid"
    expect_sentence("camvid_32", root, tmp_path / "E", says, untouched=True)


def test_the_label_with_colours_of_no_class(unpacked, tmp_path):
    broken = COLORS.copy()
    broken[0, :3] = 26
    _still(unpacked, "Seq05VD_f02610")
    write(unpacked / "LabeledApproved_full/Seq05VD_f02610_L.png", broken)
    source = converted("camvid_32", unpacked, tmp_path / "D")
    ids = written(source, "Seq05VD", "002610")
    assert (ids[0, :3] == 30).all() and ids[0, 3] == 3
    write(unpacked / "LabeledApproved_full/0016E5_00390_L.png", broken)
    says = r"0016E5_00390_L.png is a colour picture and has the colour \[26, 26, 26\]"
    expect_sentence("camvid_32", unpacked, tmp_path / "E", says)


@pytest.mark.parametrize("kind", ["folder", "camvid"])
def test_clips_of_it(unpacked, tmp_path, kind):
    _film(unpacked, range(6680, 6760))
    source, lists = expect_clips("camvid", unpacked, tmp_path, kind)
    assert len(source.frame_names("0001TP")) == 81 and lists == ["train_windows"]


def test_a_stopped_run_goes_on(unpacked, tmp_path):
    expect_resume("camvid", unpacked, tmp_path / "D")


@parametrize_mistakes(
    ("nothing", "holds no 0001TP_006690_L.png"),
    ("frame", "0006R0_f00930_L.png has no frame .*0006R0_f00930.png .2 of 6 labels have none"),
    ("size", "0006R0_f00930_L.png is .*but its frame is 8x4"),
    ("twice", "0006R0_f00930_L.png and .*0006R0_f00930_L.png are labels of one frame"),
    ("film", "2 frames are missing between those around labelled ones, the first is number 6695"),
)
def test_mistakes_are_told_in_one_sentence(unpacked, tmp_path, spoil, says):
    data = unpacked
    label = data / "LabeledApproved_full/0006R0_f00930_L.png"
    if spoil == "nothing":
        data = tmp_path / "empty"
        data.mkdir()
    elif spoil == "frame":
        for name in ("0006R0_f00930", "Seq05VD_f00000"):
            (data / f"701_StillsRaw_full/{name}.png").unlink()
    elif spoil == "size":
        write(label, COLORS[:3])
    elif spoil == "twice":
        write(data / "labels" / label.name, COLORS)
    else:
        _film(data, {*range(6680, 6760)} - {6695, 6712})
    expect_sentence("camvid", data, tmp_path / "D", says, untouched=spoil != "size")
