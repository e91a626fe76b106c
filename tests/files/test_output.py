import os

import pytest

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.output import (
    RUN_FILE,
    check_apart,
    check_output,
    check_sequences,
    claim_output,
)
from wrp_jax.types import UserError


def test_output_must_lie_outside_of_the_input(tmp_path, folder):
    (tmp_path / "link").symlink_to(folder)
    for output in (folder, folder / "out", folder / "a/labels", tmp_path / "link/out"):
        with pytest.raises(UserError, match="lies inside the input"):
            check_output(output, tmp_path / "none", folder)
        assert not (folder / "out").exists()
    check_output(tmp_path / "new/out", folder, None)
    check_output(tmp_path, folder)
    assert not (tmp_path / "new").exists()


def test_output_must_be_a_directory_that_may_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file/out"):
        with pytest.raises(UserError, match="file is a file"):
            check_output(output)
    with pytest.raises(UserError, match="cannot be written"):
        write_atomically(tmp_path / "file/out/x.png", b"")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="no permission"):
        check_output(tmp_path / "out")


def test_an_output_belongs_to_one_run(tmp_path):
    out = tmp_path / "out"
    claim_output(out, {"config": {"tau": 0.5}, "shape": (1, 2)})
    claim_output(out, {"shape": (1, 2), "config": {"tau": 0.5}})
    with pytest.raises(UserError, match=r"differs in config\.tau \(config\.tau is 0\.5 there and"):
        claim_output(out, {"config": {"tau": 0.6}, "shape": (1, 2)})
    with pytest.raises(UserError, match=r"differs in more, shape: .* remove this one\.$"):
        claim_output(out, {"config": {"tau": 0.5}, "shape": (2, 1), "more": "f" * 64})
    claim_output(tmp_path / "flat", {"segmentation.name": "light"})
    said = r"in segmentation\.name \(segmentation\.name is light there and efficient now\): give"
    with pytest.raises(UserError, match=said):
        claim_output(tmp_path / "flat", {"segmentation.name": "efficient"})
    (out / RUN_FILE).write_text("{")
    claim_output(out, {"config": {"tau": 0.6}})  # its files tell of what run they are
    with pytest.raises(UserError, match=r"differs in config\.tau"):
        claim_output(out, {"config": {"tau": 0.5}})


def test_a_linked_run_file_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RUN_FILE).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match="is a link"):
        claim_output(tmp_path / "out", {})
    assert not (tmp_path / "elsewhere.json").exists()


@pytest.mark.parametrize(
    ("output", "workdir"), [("a", "a"), ("a/b", "a"), ("a", "a/b"), ("l", "a")]
)
def test_output_and_workdir_lie_apart(tmp_path, output, workdir):
    (tmp_path / "a").mkdir()
    (tmp_path / "l").symlink_to(tmp_path / "a")
    with pytest.raises(UserError, match="lie in one another"):
        check_apart(tmp_path / output, tmp_path / workdir)
    check_apart(tmp_path / "b", tmp_path / workdir)
    check_apart(tmp_path / output, None)


@pytest.mark.parametrize("name", ["run.json", "RUN.JSON", ".lock", ".windows", "report.html"])
def test_sequences_do_not_take_the_names_of_the_outputs_own_files(name):
    with pytest.raises(UserError, match="video: the output has a file or folder"):
        check_sequences("video", ["a", name], ["report.html"])
    check_sequences("video", ["a", "run", "report"], ["report.html"])
