"""``wrp next``: what it prints and refuses."""

import pytest

from wrp_jax.files.records import Records
from wrp_jax.quality.table import FrameQuality, quality_csv


@pytest.fixture
def output(tmp_path):
    mious = [100.0, 90.0, 70.0, 50.0, 40.0, 30.0]
    rows = [
        FrameQuality("a", f"{i:02d}", i, miou, 0.0, 100.0, 0.0, "", {})
        for i, miou in enumerate(mious)
    ]
    (tmp_path / "quality.csv").write_bytes(quality_csv(rows, ["road"]))
    return tmp_path


def test_it_prints_as_many_frames_as_the_budget(wrp, capsys, output):
    assert wrp("next", str(output), "--budget=2") == 0
    head, first, *others = capsys.readouterr().out.splitlines()
    assert head.split() == ["frame", "gain", "total", "mIoU", "now", "helps"]
    assert first.split()[:2] == ["a", "04"] and len(others) == 1
    assert wrp("next", str(output), "--budget=2", "--csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("rank,sequence,frame,gain") and lines[1].startswith("1,a,04,")
    assert len(lines) == 3


def test_mistakes_are_one_sentence(wrp, capsys, output, tmp_path):
    assert wrp("next", str(output), "--budget=0") == 2
    assert "--budget=0 must be at least 1" in capsys.readouterr().err
    assert wrp("next", str(tmp_path / "none")) == 2
    assert f"{tmp_path / 'none'} does not exist: give the folder" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert wrp("next", str(tmp_path / "other")) == 2
    assert "is no output of wrp propagate: give the folder that it wrote" in capsys.readouterr().err
    (tmp_path / "other/run.json").write_text("{}")
    assert wrp("next", str(tmp_path / "other")) == 2
    assert "quality.csv is missing: wrp propagate writes it" in capsys.readouterr().err


def test_a_table_that_was_sorted_or_cut_is_refused(wrp, capsys, output):
    path = output / "quality.csv"
    content = path.read_bytes()
    records = Records(output)
    records.add("", [path])
    records.save()
    assert wrp("next", str(output)) == 0
    head, *rows = content.splitlines(keepends=True)
    for others in (rows[::-1], rows[:3]):
        path.write_bytes(b"".join([head, *others]))
        assert wrp("next", str(output)) == 2
        said = capsys.readouterr().err
        assert "quality.csv was changed after it was written: give the command that" in said
    path.write_bytes(content)
    assert wrp("next", str(output)) == 0


def test_it_says_why_there_is_nothing_to_label(wrp, capsys, output):
    for distance, why in ((0, "labelled by hand"), (1, "of no frame an error is expected")):
        row = FrameQuality("a", "0", distance, 100.0, 100.0, 100.0, 0.0, "", {})
        (output / "quality.csv").write_bytes(quality_csv([row], []))
        assert wrp("next", str(output)) == 0
        assert why in capsys.readouterr().out
