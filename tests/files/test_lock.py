import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wrp_jax.files.lock import LOCK_FILE, sole_writer
from wrp_jax.types import UserError

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
