"""Results as files: their fields, and what is refused."""

import json

import numpy as np
import pytest

from experiments.record import (
    MACHINE,
    RESULTS,
    check_result,
    read_results,
    without_folders,
    write_result,
)


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    figures = {"warp-refine": {1: np.float32(86.5), "mean": 82.5}, "unknown": None}
    path = write_result("toy", figures, command="python -m x", seeds=[np.int64(0)], folder=tmp_path)
    (result,) = read_results(tmp_path).values()
    assert path.name == "toy.json" and result["command"] == "python -m x"
    assert result["figures"] == {"warp-refine": {"1": 86.5, "mean": 82.5}, "unknown": None}
    assert result["seeds"] == [0] and result["origin"] == "measured"
    assert set(result["machine"]) == set(MACHINE) and result["machine"]["cores"] >= 1
    assert result["machine"]["jax"] and result["date"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "other"}, "use the name of the file"),
        ({"figures": {"a": {"b": "82.5"}}}, "the figure a/b is no finite number"),
        ({"figures": {"a": float("nan")}}, "the figure a is no finite number"),
        ({"figures": {"a/b": 1}}, "bad key in a/b"),
        ({"figures": {}}, "no figures"),
        ({"commit": "yesterday"}, "commit is no hash"),
        ({"machine": {}}, "machine must have"),
        ({"seeds": [True]}, "whole numbers"),
        ({"extra": 1}, "its fields must be"),
    ],
)
def test_what_is_no_result_is_named(tmp_path, change, message):
    path = write_result("toy", {"a": 1}, command="x", seeds=[0], folder=tmp_path)
    with pytest.raises(ValueError, match=f"results/toy.json: .*{message}"):
        check_result({**json.loads(path.read_text()), **change}, "toy")


def test_all_stored_results_have_the_documented_fields():
    documented = (RESULTS / "README.md").read_text()
    for name, result in read_results().items():
        assert all(f"| `{field}` |" in documented for field in result), name


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("--data=/a/b/c", "--data=c"),
        ("test /a/camvid:/b/c/test.txt", "test camvid:test.txt"),
        ("camvid=0.5@/a/camvid", "camvid=0.5@camvid"),
        ("synthetic:clips=4,seed=0 results/x.json", "synthetic:clips=4,seed=0 results/x.json"),
    ],
)
def test_folders_of_a_machine_are_left_out(text, kept):
    assert without_folders(text) == kept


def test_no_result_names_a_folder_of_a_machine():
    for name, found in read_results(RESULTS).items():
        for text in (found["command"] or "", found["note"] or ""):
            assert without_folders(text) == text, name
