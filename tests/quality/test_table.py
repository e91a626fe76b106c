import math

import pytest

from wrp_jax.quality.table import COLUMNS, FrameQuality, as_written, quality_csv, read_quality
from wrp_jax.types import UserError

ROWS = [
    FrameQuality("a, b", "000", 0, 100.0, 100.0, 100.0, 0.0, "labelled by hand", {"road": 100.0}),
    FrameQuality("a, b", "001", 1, 81.2, 60.0, 90.0, 3.5, "entering content", {"road": 81.25}),
    FrameQuality("c", "007", 2, math.nan, math.nan, math.nan, 0.0, "small classes", {}),
]


def test_rows_come_back_and_columns_are_those_that_are_promised(tmp_path):
    path = tmp_path / "quality.csv"
    path.write_bytes(quality_csv(ROWS, ["road", "car"]))
    head, first, *_ = path.read_text().splitlines()
    assert head == "sequence,frame,distance,miou,miou_low,miou_high,doubtful,reason,road,car"
    assert head.split(",")[: len(COLUMNS)] == list(COLUMNS)
    assert first == '"a, b",000,0,100.00,100.00,100.00,0.00,labelled by hand,100.00,'
    assert str(read_quality(path)) == str([*ROWS[:2], ROWS[2]])  # NaN is no NaN's equal


def test_rows_as_written_are_those_that_come_back(tmp_path):
    fine = FrameQuality("a", "1", 1, 84.7649, 1 / 3, 92.145, 1e-3, "", {"road": 2 / 3})
    rows = [as_written(row) for row in (fine, *ROWS)]
    path = tmp_path / "quality.csv"
    path.write_bytes(quality_csv([fine, *ROWS], ["road"]))
    assert str(read_quality(path)) == str(rows) and rows[0].miou == 84.76


HEAD = ",".join(COLUMNS) + "\n"
ROW = "a,0,1,80,70,90,3,\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sequence,frame\n",
        HEAD,
        HEAD + "a,b,x\n",
        HEAD + ROW + ROW,
        HEAD + ROW.replace("80", "inf"),
        HEAD + ROW.replace("80", "nan"),
        HEAD + ROW.replace("80", "100.5"),
        HEAD + ROW.replace("3,", "-3,"),
        HEAD + ROW.replace(",1,", ",-1,"),
    ],
)
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "quality.csv"
    path.write_text(HEAD + ROW)
    assert len(read_quality(path)) == 1
    path.write_text(text)
    with pytest.raises(UserError, match=r"quality.csv is not the table"):
        read_quality(path)
    with pytest.raises(UserError, match="is missing"):
        read_quality(tmp_path / "other.csv")
