"""Training as a process: told to stop, killed, on a full disk, its folder removed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STEPS = 12


STARTED = []


def start(*words, before=(), environment=None, **options):
    process = subprocess.Popen(
        [*before, sys.executable, str(HERE / "toy_command.py"), *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **(environment or {})},
        **options,
    )  # fmt: skip
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def none_is_left():
    """After a failure: a process that goes on, and its pipes, would disturb the tests behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        if not process.stderr.closed:
            process.kill()
            process.communicate()


def finish(*words, **options):
    process = start(*words, **options)
    _, error = process.communicate(timeout=300)
    return process.returncode, error


def last_state(workdir):
    """The bytes of the last step as its manifest tells them."""
    folder = workdir / "checkpoints" / "toy"
    step = max(int(path.name) for path in folder.iterdir())
    return step, json.loads((folder / str(step) / "manifest" / "metadata").read_text())["leaves"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "RUN"
    begin = time.monotonic()
    code, error = finish(workdir, STEPS, 0.01)
    assert code == 0, error
    return last_state(workdir), time.monotonic() - begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_at_any_moment(whole, tmp_path, number):
    """From the first line of ``main`` on: in imports, compiling, between steps, at the end."""
    rng, workdir, codes = random.Random(number), tmp_path / "RUN", []
    for _ in range(4):
        process = start(workdir, STEPS, 0.01)
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        time.sleep(rng.uniform(0.0, 0.7) * whole[1])
        process.send_signal(number)
        _, error = process.communicate(timeout=300)
        codes.append(process.returncode)
        done = (workdir / "checkpoints/toy" / str(STEPS)).exists()
        # Once all is written, Python's own end may be cut short.
        assert process.returncode == 4 or done, (process.returncode, error)
        if done:
            assert last_state(workdir) == whole[0]
            shutil.rmtree(workdir)
        if process.returncode == 4:
            assert "stopped by" in error and "run the same command to go on." in error
            assert "Traceback" not in error
    assert 4 in codes, codes
    assert finish(workdir, STEPS, 0.01)[0] == 0
    assert last_state(workdir) == whole[0]


def workers_of(process):
    return [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_never_outlive_a_killed_program(tmp_path):
    process = start(tmp_path / "RUN", 10_000, 0.0, 2)
    wait_for(lambda: (tmp_path / "RUN/checkpoints/toy/5").exists() or process.poll() is not None)
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert len(gone) == 2 and not alive


def test_a_signal_to_the_whole_process_group_saves(tmp_path):
    """As batch systems send it: the workers end first, which is no fault."""
    process = start(tmp_path / "RUN", 10_000, 0.0, 2, start_new_session=True)
    wait_for(lambda: (tmp_path / "RUN/checkpoints/toy/5").exists() or process.poll() is not None)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 4, error
    assert "stopped by SIGTERM after step" in error and "Traceback" not in error
    assert not psutil.wait_procs(workers, timeout=60)[1]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)],
        capture_output=True, check=False,
    ).returncode  # fmt: skip
    if mounted:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=False)


def assert_told(code, error, *says):
    assert code == 5, error
    told = [line for line in error.splitlines() if line.startswith("toy_command.py: ")]
    assert len(told) == 1 and all(text in told[0] for text in says), error
    assert "toy_command.py" not in error.replace(told[0], "")  # no traceback of the program's own


def test_a_full_disk_keeps_the_last_checkpoint_and_the_same_command_goes_on(whole, small_disk):
    workdir, filler = small_disk / "RUN", small_disk / "filler"
    code, error = finish(workdir, STEPS, 0.02, 0, 8 * 9, "fill", filler)
    assert_told(code, error, "the disk takes no more", "free some space, and run the same command")
    assert last_state(workdir)[0] in (0, 5)
    assert not list(workdir.glob("checkpoints/toy/*tmp*"))
    filler.unlink()
    code, error = finish(workdir, STEPS, 0.0)
    assert code == 0, error
    assert last_state(workdir) == whole[0]


def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(tmp_path):
    code, error = finish(
        tmp_path / "RUN", STEPS, 0,
        before=["sh", "-c", 'ulimit -f 2 && exec "$@"', "sh"],  # blocks of 512 bytes
        environment={"JAX_ENABLE_COMPILATION_CACHE": "0"},
    )  # fmt: skip
    assert_told(code, error, "the disk takes no more", "File too large")


def test_a_workdir_that_is_removed_is_an_error(whole, tmp_path):
    workdir = tmp_path / "RUN"
    code, error = finish(workdir, STEPS, 0.0, 0, 8 * 9, "remove", workdir)
    assert_told(code, error, "was removed or emptied while this run was writing to it")
    assert finish(workdir, STEPS, 0.0)[0] == 0
    assert last_state(workdir) == whole[0]
