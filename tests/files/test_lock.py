import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wrp_jax.files.atomic import write_atomically
from wrp_jax.files.lock import LOCK_FILE, make_folder_of, sole_writer
from wrp_jax.types import MachineError, UserError

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, pathlib
from wrp_jax.files.lock import sole_writer
with sole_writer(pathlib.Path(sys.argv[1]), "--output"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path / "out"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "out")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_kept_out(holder, tmp_path):
    with (
        pytest.raises(UserError, match=r"--output=.*out is being written by another run"),
        sole_writer(tmp_path / "out", "--output"),
    ):
        pass
    with sole_writer(tmp_path / "other", "--output"):
        pass


def test_a_killed_process_leaves_no_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "out" / LOCK_FILE).exists()
    with sole_writer(tmp_path / "out", "--output"):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_a_mistake_leaves_no_empty_folder(tmp_path):
    with pytest.raises(UserError, match="mine"), sole_writer(tmp_path / "a" / "b", "--output"):
        raise UserError("mine")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError), sole_writer(tmp_path / "a" / "b", "--output"):
        (tmp_path / "a" / "b" / "checkpoint").touch()
        raise UserError("later")
    assert (tmp_path / "a" / "b" / "checkpoint").exists()


def test_the_lock_is_free_again_after_a_mistake(tmp_path):
    for _ in range(2):
        with pytest.raises(UserError, match="mine"), sole_writer(tmp_path, "--output"):
            raise UserError("mine")


def test_a_lock_file_removed_meanwhile_counts_for_nothing(tmp_path, monkeypatch):
    """The run before ends between our open and our lock, and a third makes a file anew."""
    from wrp_jax.files import lock

    original, seen = lock.fcntl.flock, []

    def slow(handle, how):
        if not seen:
            (tmp_path / LOCK_FILE).unlink()
        seen.append(handle)
        original(handle, how)

    monkeypatch.setattr(lock.fcntl, "flock", slow)
    with (
        sole_writer(tmp_path, "--output"),
        pytest.raises(UserError, match="another run"),
        sole_writer(tmp_path, "--output"),
    ):
        pass
    assert len(seen) == 3


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="a file in its place"),
        sole_writer(tmp_path / place, "--workdir"),
    ):
        pass


def test_what_killed_runs_have_half_written_goes(tmp_path):
    half, kept = ".wrp-0123456789abcdef.tmp", ".wrp-notes.tmp"
    for folder in ("a/labels", "training", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        for name in (half, kept):
            (tmp_path / folder / name).touch()
    (tmp_path / "training" / LOCK_FILE).touch()  # somebody may be writing there
    (tmp_path / "out").mkdir()
    for name in ("a", "training"):
        (tmp_path / name).rename(tmp_path / "out" / name)
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    with sole_writer(tmp_path / "out", "--output"):
        left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("**/.wrp-*"))
    names = {f"out/a/labels/{kept}", f"out/training/{half}", f"out/training/{kept}"}
    assert {name for name in left if name.startswith("out")} - names <= {f"out/link/{half}"} | {
        f"out/link/{kept}"
    }
    assert names <= set(left) and f"elsewhere/{half}" in left


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK_FILE).symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(UserError, match=r"\.lock is a link"),
        sole_writer(tmp_path / "out", "--output"),
    ):
        pass
    assert not (tmp_path / "elsewhere").exists()


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


def remake(folder):
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize("remove", [shutil.rmtree, empty, remake])
def test_a_folder_that_is_removed_meanwhile_is_an_error_at_the_next_file(tmp_path, remove):
    out, reached = tmp_path / "out", []
    with (
        pytest.raises(MachineError, match=r"--output=.*out was removed or emptied while"),
        sole_writer(out, "--output"),
    ):
        write_atomically(out / "a" / "1.png", b"1") if remove is not empty else None
        remove(out)
        reached.append("removed")
        write_atomically(out / "a" / "2.png", b"2")
        reached.append("written")
    assert reached == ["removed"] and not list(tmp_path.glob("**/*.png"))


@pytest.mark.parametrize("error", [None, FileNotFoundError, UserError])
def test_a_folder_that_is_removed_meanwhile_is_an_error_at_the_end(tmp_path, error):
    with (
        pytest.raises(MachineError, match="run the same command again"),
        sole_writer(tmp_path / "out", "--output"),
    ):
        shutil.rmtree(tmp_path / "out")
        if error is not None:  # what came of it
            raise error


def test_where_there_are_no_locks_all_else_holds(tmp_path, monkeypatch):
    from wrp_jax.files import lock

    monkeypatch.setattr(lock, "fcntl", None)  # Windows
    with sole_writer(tmp_path / "out", "--output"):
        write_atomically(tmp_path / "out" / "x", b"1")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(MachineError, match="was removed"), sole_writer(out, "--output"):
        make_folder_of(out / "street" / "labels" / "0.png")
        assert (out / "street" / "labels").is_dir()
        shutil.rmtree(out)
        with pytest.raises(FileNotFoundError):
            make_folder_of(out / "street" / "labels" / "1.png")
    assert not out.exists()
