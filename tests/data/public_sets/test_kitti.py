"""A made-up KITTI of pictures of 4x6: two labelled scenes, with and without frames around them."""

import numpy as np
import pytest
from made_up_sets import (
    converted,
    expect_clips,
    expect_resume,
    expect_sentence,
    parametrize_mistakes,
    rows,
    write,
    write_pair,
    written,
)

from wrp_jax.data.windows import read_windows, windows_of_keyframes

IDS = np.arange(24).reshape(4, 6)


@pytest.fixture
def semantics(tmp_path):
    """``data_semantics`` alone, as it is unpacked."""
    root = tmp_path / "kitti"
    for scene in ("000000", "000003"):
        name = f"{scene}_10.png"
        write_pair(root / "training/image_2" / name, root / "training/semantic" / name, IDS, 10)
    write(root / "training/semantic_rgb/000000_10.png", np.zeros((4, 6, 3)))
    write(root / "testing/image_2/000000_10.png", np.zeros((4, 6, 3)))
    return root


def _add_multiview(training, scenes=("000000", "000003", "000007")):
    for scene in scenes:
        for step in range(21):
            write(training / "image_2" / f"{scene}_{step:02d}.png", np.full((4, 6, 3), step))


def test_labelled_frames_alone_are_sequences_of_one(semantics, tmp_path):
    source = converted("kitti", semantics, tmp_path / "D")
    assert source.sequences == ("000000", "000003")
    assert source.frame_names("000003") == ("000003_10",)
    assert rows(tmp_path / "D", "train") == [("000000", "000000_10"), ("000003", "000003_10")]
    assert source.classes.names[:2] == ("road", "sidewalk")
    expected = np.where(np.isin(IDS, (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23)), IDS, 0)
    np.testing.assert_array_equal(written(source, "000003", "000003_10"), expected)


@pytest.mark.parametrize("place", ["training", "data_scene_flow_multiview/training"])
def test_multi_view_frames_lie_around_the_labelled_ones(semantics, tmp_path, place):
    _add_multiview(semantics / place)
    source = converted("kitti", semantics, tmp_path / "D")
    assert source.sequences == ("000000", "000003")  # 000007 has no label
    names = source.frame_names("000000")
    assert names == tuple(f"000000_{step:02d}" for step in range(21))
    assert source.label_names("000000") == {"000000_10"}
    assert [int(source.frame("000000", name)[0, 0, 0]) for name in names] == list(range(21))
    windows = windows_of_keyframes(source, None, horizon=10)
    assert [(w.key, w.first, w.last) for w in windows] == [
        (f"{scene}_10", f"{scene}_00", f"{scene}_20") for scene in source.sequences
    ]


def test_windows_are_listed_where_all_their_frames_are(semantics, tmp_path):
    _add_multiview(semantics / "training", ["000003"])
    write(semantics / "training/image_2/000000_11.png", np.zeros((4, 6, 3)))  # of scene flow
    source = converted("kitti", semantics, tmp_path / "D")
    assert rows(tmp_path / "D", "train_windows") == [
        ("000003", "000003_10", "000003_00", "000003_20")
    ]
    (window,) = read_windows(tmp_path / "D/splits/train_windows.txt", source)
    assert window.key == "000003_10"


def test_folds_hold_every_scene_for_validation_once(semantics, tmp_path):
    for scene in ("000004", "000005", "000007"):
        name = f"{scene}_10.png"
        pair = (semantics / f"training/{kind}" / name for kind in ("image_2", "semantic"))
        write_pair(*pair, IDS, 10)
    _add_multiview(semantics / "training", ["000003", "000005"])
    converted("kitti", semantics, tmp_path / "D")
    val = [rows(tmp_path / "D", f"fold{fold}_val") for fold in range(4)]
    assert [row[0] for row in val[0]] == ["000000", "000007"]
    assert sorted(row for fold in val for row in fold) == rows(tmp_path / "D", "train")
    for fold in range(4):
        train = rows(tmp_path / "D", f"fold{fold}_train")
        assert sorted([*train, *val[fold]]) == rows(tmp_path / "D", "train")
        windows = {row[0] for row in rows(tmp_path / "D", f"fold{fold}_train_windows")}
        assert windows == {"000003", "000005"} & {row[0] for row in train}


def test_missing_frames_are_counted(semantics, tmp_path):
    _add_multiview(semantics / "training")
    for name in ("000000_04", "000003_00", "000003_20"):
        (semantics / "training/image_2" / f"{name}.png").unlink()
    says = r"lacks 3 frames around .*, in 2 of 2 scenes, the first is 000000_04.png"
    expect_sentence("kitti", semantics, tmp_path / "D", says, untouched=True)


def test_archives_unpacked_beside_each_other(semantics, tmp_path):
    both = tmp_path / "both"
    both.mkdir()
    semantics.rename(both / "data_semantics")
    _add_multiview(both / "data_scene_flow_multiview/training")
    write(both / "data_scene_flow_multiview/training/image_2/000000_10.png", np.zeros((9, 9, 3)))
    source = converted("kitti", both, tmp_path / "D")
    assert len(source.frame_names("000003")) == 21
    # The frame is the one beside its label.
    assert (source.frame("000000", "000000_10") == 10).all()


def test_clips_of_it(semantics, tmp_path):
    _add_multiview(semantics / "training", ["000003"])
    source, lists = expect_clips("kitti", semantics, tmp_path)
    assert len(source.frame_names("000003")) == 21 and lists == ["train_windows"]


def test_a_stopped_run_goes_on(semantics, tmp_path):
    expect_resume("kitti", semantics, tmp_path / "D")


@parametrize_mistakes(
    ("nothing", "holds no training/semantic/000000_10.png"),
    ("frame", "semantic/000009_10.png has no frame .*image_2/000009_10.png"),
    ("size", "000003_10.png is .*but its frame is 6x4"),
    ("ids", "000003_10.png has 24 pixels with ids that are none of this set, the first 40"),
)
def test_mistakes_are_told_in_one_sentence(semantics, tmp_path, spoil, says):
    data = semantics
    if spoil == "nothing":
        data = tmp_path / "nowhere"
    elif spoil == "frame":
        write(data / "training/semantic/000009_10.png", IDS)
    elif spoil == "size":
        write(data / "training/semantic/000003_10.png", IDS[:3])
    else:
        write(data / "training/semantic/000003_10.png", np.full((4, 6), 40))
    early = spoil in ("nothing", "frame")
    expect_sentence("kitti", data, tmp_path / "D", says, untouched=early)
