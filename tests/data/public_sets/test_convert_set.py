"""What the writer does for any data set: links that follow it, nothing left behind by a mistake."""

import numpy as np
import pytest
from made_up_sets import converted, expect_sentence, rows, write, write_pair

from wrp_jax.files.verify import verify


@pytest.fixture
def kitti(tmp_path):
    root = tmp_path / "kitti"
    for scene in ("000000", "000001"):
        name = f"{scene}_10.png"
        write_pair(
            root / "training/image_2" / name, root / "training/semantic" / name, np.full((4, 6), 7)
        )
    return root


def test_a_set_that_has_moved_is_linked_anew(kitti, tmp_path):
    out, moved = tmp_path / "D", tmp_path / "elsewhere"
    converted("kitti", kitti, out)
    kitti.rename(moved)
    converted("kitti", moved, out)
    links = sorted(out.glob("*/frames/*"))
    assert len(links) == 2
    for link in links:
        assert link.is_symlink() and link.resolve().is_relative_to(moved.resolve())


def test_a_label_of_void_alone_is_none(kitti, tmp_path):
    write(kitti / "training/semantic/000001_10.png", np.zeros((4, 6)))
    source = converted("kitti", kitti, tmp_path / "D")
    assert not source.label_names("000001") and source.label_names("000000")
    assert rows(tmp_path / "D", "train") == [("000000", "000000_10")]


def test_the_set_is_not_touched(kitti, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in kitti.rglob("*")}
    converted("kitti", kitti, tmp_path / "D")
    assert {path: path.stat().st_mtime_ns for path in kitti.rglob("*")} == before


def test_a_damaged_label_is_named(kitti, tmp_path):
    label = kitti / "training/semantic/000001_10.png"
    label.write_bytes(label.read_bytes()[:40])
    expect_sentence("kitti", kitti, tmp_path / "D", "semantic/000001_10.png is")
    assert not list((tmp_path / "D").glob("000001/labels/*"))


def test_an_output_that_is_a_file(kitti, tmp_path):
    (tmp_path / "D").write_text("")
    expect_sentence("kitti", kitti, tmp_path / "D", "is a file; choose a directory")


def test_an_unknown_set(kitti, tmp_path, capsys, wrp):
    assert wrp("convert", "--set=other", f"--data={kitti}", f"--output={tmp_path / 'D'}") == 2
    error = capsys.readouterr().err
    assert "--set=other" in error and "cityscapes|kitti" in error and error.count("\n") == 1
    assert not (tmp_path / "D").exists()


def test_what_has_changed_in_the_set_is_written_again(kitti, tmp_path, caplog):
    out = tmp_path / "D"
    converted("kitti", kitti, out)
    label = next(out.glob("000000*/labels/*.png"))
    frame = next(out.glob("000001*/frames/*"))
    before = label.read_bytes()
    converted("kitti", kitti, out)
    assert label.read_bytes() == before and verify(out)[1] == [] and not caplog.records
    write(kitti / "training/semantic/000000_10.png", np.full((4, 6), 8))
    source = converted("kitti", kitti, out)
    assert source.classes.names[source.label("000000", "000000_10")[0, 0]] == "sidewalk"
    label.write_bytes(before)
    frame.unlink()
    assert verify(out)[1] == [
        f"{label} was changed after it was written.", f"{frame} is gone."
    ]  # fmt: skip
    converted("kitti", kitti, out)
    assert label.read_bytes() != before and verify(out)[1] == []
    assert f"{label} was changed after it was written: it is made again" in caplog.messages


def test_what_the_set_has_no_more_goes(kitti, tmp_path):
    out = tmp_path / "D"
    converted("kitti", kitti, out)
    for kind in ("image_2", "semantic"):
        (kitti / "training" / kind / "000001_10.png").unlink()
    source = converted("kitti", kitti, out)
    assert source.sequences == ("000000",)
    assert verify(out)[1] == [] and not (out / "000001").exists()
