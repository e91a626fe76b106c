"""A made-up Cityscapes of pictures of 6x10, laid out and named as the set is."""

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
)

from wrp_jax.config import published_protocol
from wrp_jax.data.known_labels import KnownLabels, parse_stills
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.data.windows import read_windows, window_frames
from wrp_jax.segmentation.for_classes import scores_of

AACHEN, AUGSBURG = "aachen_000000_000019", "augsburg_000003_000019"


def _add(root, split, name, kind, ids, frame=True):
    city = name.partition("_")[0]
    picture = root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
    label = root / kind / split / city / f"{name}_{kind}_labelIds.png"
    write_pair(picture if frame else None, label, ids, value=len(split))


@pytest.fixture
def unpacked(tmp_path):
    """Every id in aachen, fine and coarse; augsburg of the extra frames, coarse alone."""
    root = tmp_path / "cityscapes"
    ids = np.arange(60).reshape(6, 10) % 34
    ids[5, 9] = 255
    _add(root, "train", AACHEN, "gtFine", ids)
    _add(root, "train", AACHEN, "gtCoarse", np.where(ids > 20, 0, ids))
    _add(root, "train_extra", AUGSBURG, "gtCoarse", np.full((6, 10), 26))
    _add(root, "test", "berlin_000000_000019", "gtFine", np.zeros((6, 10)))
    (root / "gtFine/train/aachen" / f"{AACHEN}_gtFine_color.png").write_bytes(b"not looked at")
    return root


def test_fine_and_coarse_labels_become_lists_of_stills(unpacked, tmp_path, capsys, wrp):
    out = tmp_path / "D"
    assert wrp("convert", "--set=cityscapes", f"--data={unpacked}", f"--output={out}") == 0
    parts = ("fine_train", "coarse_train", "coarse_train_extra")
    given = capsys.readouterr().out.split()
    assert given == [f"--stills={out}:splits/{part}.txt" for part in parts]
    stills = [parse_stills(spec.removeprefix("--stills=")) for spec in given]
    known = KnownLabels(stills[0][0], (), stills)
    found = {(item.sequence, item.name): item for item in known.items}
    assert list(found) == [
        ("fine_train_aachen", AACHEN),
        ("coarse_train_aachen", AACHEN),
        ("coarse_train_extra_augsburg", AUGSBURG),
    ]
    fine = found["fine_train_aachen", AACHEN]
    ids = np.array(known.classes.ids)[fine.label()]
    scored = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
    expected = np.arange(60) % 34
    expected = np.where(np.isin(expected, scored), expected, 0).reshape(6, 10)
    expected[5, 9] = 0
    np.testing.assert_array_equal(ids, expected)
    assert (fine.frame() == len("train")).all()
    extra = found["coarse_train_extra_augsburg", AUGSBURG]
    assert (extra.label() == known.classes.names.index("car")).all()
    assert (extra.frame() == len("train_extra")).all()


def _add_sequence(root, split, name):
    """The 30 frames of a snippet, the labelled one being the 20th, of a grey by their number."""
    drive, _, number = name.rpartition("_")
    for place in range(int(number) - 19, int(number) + 11):
        folder = root / "leftImg8bit_sequence" / split / drive.partition("_")[0]
        path = folder / f"{drive}_{place:06d}_leftImg8bit.png"
        write(path, np.full((6, 10, 3), place % 200))


def test_snippets_become_sequences_with_windows(unpacked, tmp_path):
    later = "aachen_000001_000319"  # some drives are numbered through
    _add(unpacked, "train", later, "gtFine", np.full((6, 10), 26))
    for name in (AACHEN, later):
        _add_sequence(unpacked, "train", name)
    source = converted("cityscapes", unpacked, tmp_path / "D")
    assert source.sequences == (
        f"coarse_train_{AACHEN}", "coarse_train_extra_augsburg",
        f"fine_train_{AACHEN}", f"fine_train_{later}",
    )  # fmt: skip
    names = source.frame_names(f"fine_train_{later}")
    assert names == tuple(f"aachen_000001_{i:06d}" for i in range(300, 330))
    assert source.label_names(f"fine_train_{later}") == {later}
    assert (source.frame(f"fine_train_{later}", names[3]) == 303 % 200).all()
    assert rows(tmp_path / "D", "fine_train_windows") == [
        (f"fine_train_{AACHEN}", AACHEN, "aachen_000000_000009", "aachen_000000_000029"),
        (f"fine_train_{later}", later, "aachen_000001_000309", "aachen_000001_000329"),
    ]
    assert rows(tmp_path / "D", "fine_train") == [
        (f"fine_train_{AACHEN}", AACHEN), (f"fine_train_{later}", later)
    ]  # fmt: skip
    first, _ = read_windows(tmp_path / "D/splits/fine_train_windows.txt", source)
    assert len(window_frames(first, source)) == 21
    assert not (tmp_path / "D/splits/coarse_train_extra_windows.txt").exists()


def test_missing_frames_of_snippets_are_counted(unpacked, tmp_path):
    _add_sequence(unpacked, "train", AACHEN)
    folder = unpacked / "leftImg8bit_sequence/train/aachen"
    for place in (4, 29):
        (folder / f"aachen_000000_{place:06d}_leftImg8bit.png").unlink()
    says = r"lacks 2 frames of 1 of 1 snippets, the first is .*aachen_000000_000004_leftImg8bit.png"
    expect_sentence("cityscapes", unpacked, tmp_path / "D", says, untouched=True)


def test_the_classes_are_those_of_the_published_networks_in_their_order():
    classes = cityscapes_classes()
    assert scores_of(published_protocol(), classes) == 19
    assert classes.names[:4] == ("road", "sidewalk", "building", "wall")
    assert classes.names[13:19] == ("car", "truck", "bus", "train", "motorcycle", "bicycle")
    assert classes.void_index == 19


def test_clips_of_it(unpacked, tmp_path):
    _add_sequence(unpacked, "train", AACHEN)
    source, lists = expect_clips("cityscapes", unpacked, tmp_path)
    assert len(source.frame_names(f"fine_train_{AACHEN}")) == 30
    assert lists == ["coarse_train_windows", "fine_train_windows"]


def test_a_stopped_run_goes_on(unpacked, tmp_path):
    expect_resume("cityscapes", unpacked, tmp_path / "D")


@parametrize_mistakes(
    ("nothing", "holds no gtFine/<split>/<city>"),
    ("frame", "bonn_000000_000019_gtCoarse_labelIds.png has no frame"),
    ("size", "labelIds.png is .*but its frame is 10x6"),
    ("ids", "labelIds.png has 1 pixels with ids that are none of this set, the first 77 at row 2"),
    ("output", "lies inside the input"),
)
def test_mistakes_are_told_in_one_sentence(unpacked, tmp_path, spoil, says):
    data, out = unpacked, tmp_path / "D"
    aachen = data / "gtFine/train/aachen" / f"{AACHEN}_gtFine_labelIds.png"
    if spoil == "nothing":
        data = tmp_path / "empty"
        data.mkdir()
    elif spoil == "frame":
        _add(data, "train_extra", "bonn_000000_000019", "gtCoarse", np.zeros((6, 10)), frame=False)
    elif spoil == "size":
        write(aachen, np.zeros((5, 10)))
    elif spoil == "ids":
        ids = np.zeros((6, 10))
        ids[2, 3] = 77
        write(aachen, ids)
    else:
        out = unpacked / "D"
    expect_sentence(
        "cityscapes", data, out, says, untouched=spoil in ("nothing", "frame", "output")
    )
