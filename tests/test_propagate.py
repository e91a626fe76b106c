"""``propagate.py`` as a user runs it: in a process of its own."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from wrp_jax.files.lock import sole_writer

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = """
from wrp_jax.config import Config

def get_config():
    return Config()
"""


@pytest.fixture
def data(tmp_path):
    """A still of 17x31, four times; a label on the second frame, truth on the fourth."""
    root = tmp_path / "data"
    for kind in ("frames", "labels"):
        (root / "street" / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (17, 31, 3), dtype=np.uint8))
    label = Image.fromarray((np.arange(31) > 12).astype(np.uint8) + np.zeros((17, 1), np.uint8))
    for t in range(4):
        image.save(root / "street" / "frames" / f"{t}.png")
        if t in (1, 3):
            label.save(root / "street" / "labels" / f"{t}.png")
    classes = [
        {"id": i, "name": n, "color": [90 * i, 9, 9], "void": False} for i, n in enumerate("ab")
    ]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    (tmp_path / "keys.txt").write_text("street 1\n")
    (tmp_path / "config.py").write_text(CONFIG)
    return root


def start(program, data, *flags):
    home = data.parent
    words = [sys.executable, str(ROOT / program), f"--config={home / 'config.py'}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # of the config, beside it
    return subprocess.Popen(
        [*words, f"--data={data}", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home, env=environment,
    )  # fmt: skip


def command(program, data, *flags):
    process = start(program, data, *flags)
    output, error = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)


def propagate(data, *flags):
    return command("propagate.py", data, f"--output={data.parent / 'out'}", *flags)


def test_motion_only_needs_no_workdir(data):
    done = propagate(data, "--method=motion-only", f"--keyframes={data.parent / 'keys.txt'}")
    assert done.returncode == 0, done.stderr
    out = data.parent / "out"
    metrics = json.loads((out / "metrics.json").read_text())
    # Nothing moves and the truth is the same label: nothing may be lost.
    assert metrics["methods"]["motion-only"]["miou"] == {"2": 100.0}
    assert "motion-only" in done.stdout
    for t in range(4):
        assert (out / "street" / "labels" / f"{t}.png").is_file()
    assert "<svg" in (out / "report.html").read_text()
    for folder in ("labels", "confidence", "overlays"):
        names = sorted(path.name for path in (out / "street" / folder).iterdir())
        assert names == [f"{t}.png" for t in range(4)]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--workdir is missing"),
        (("--method=magic",), "--method=magic"),
        (("--config.propagation.taul=1",), "did you mean"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(data, flags, says):
    before = sorted(p for p in data.parent.rglob("*"))
    done = propagate(data, *flags)
    assert done.returncode == 2
    assert says in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert sorted(p for p in data.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("program", "flags"),
    [("train.py", ("--workdir=out",)), ("propagate.py", ("--output=out", "--method=static"))],
)
def test_a_second_run_on_the_same_folder_is_refused(data, program, flags):
    with sole_writer(data.parent / "out", "--output"):
        done = command(program, data, *flags)
        assert [p.name for p in (data.parent / "out").iterdir()] == [".lock"]
    assert done.returncode == 2
    assert "=out is being written by another run" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def pictures(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")}


def written(out):
    return {path: path.stat().st_mtime_ns for path in (out, *out.rglob("*")) if path.exists()}


@pytest.mark.commands
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_at_any_moment(data, number):
    """From the start of the interpreter on: code 4 and resumable, or the whole result."""
    flags, out = ("--method=motion-only",), data.parent / "out"
    begin = time.monotonic()
    assert propagate(data, *flags).returncode == 0
    took, whole = time.monotonic() - begin, pictures(out)
    shutil.rmtree(out)
    rng, codes = random.Random(number), []
    for _ in range(4):
        before = written(out)
        process = start("propagate.py", data, f"--output={out}", *flags)
        time.sleep(rng.uniform(0.05, 1.0) * took)
        begun = written(out) != before
        process.send_signal(number)
        _, error = process.communicate(timeout=300)
        codes.append(process.returncode)
        if process.returncode == 4:
            assert error.endswith("run the same command to go on.\n"), error
            assert "Traceback" not in error
        elif process.returncode == 0 or (out / "report.html").exists():
            assert pictures(out) == whole
            shutil.rmtree(out)
        else:  # the interpreter has not come to the program yet: it ends as any program does
            assert process.returncode == -number and not begun
    assert 4 in codes, codes
    assert propagate(data, *flags).returncode == 0
    assert pictures(out) == whole


REMOVES = """
import runpy, shutil, sys
from wrp_jax.labelling.files import OutputFiles

write, calls = OutputFiles.write_overlay, []

def counted(self, *arguments, **options):
    calls.append(1)
    if len(calls) == 3:
        # Again where another thread has written meanwhile into what was to be removed.
        while self._plan.output.exists():
            shutil.rmtree(self._plan.output, ignore_errors=True)
    return write(self, *arguments, **options)

OutputFiles.write_overlay = counted
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_an_output_that_is_removed_meanwhile_is_an_error(data):
    out = data.parent / "out"
    words = ["-c", REMOVES, str(ROOT / "propagate.py"), f"--config={data.parent / 'config.py'}"]
    words += [f"--data={data}", f"--output={out}", "--method=motion-only"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 5, done.stderr
    assert "out was removed or emptied while this run was writing to it" in done.stderr
    assert "Traceback" not in done.stderr and not out.exists()
    assert propagate(data, "--method=motion-only").returncode == 0
    assert len(list((out / "street" / "labels").iterdir())) == 4


def test_an_output_inside_of_the_workdir_is_refused(data):
    run = data.parent / "RUN"
    for output, workdir in ((run, run), (run / "out", run), (data.parent / "out", data.parent)):
        done = command("propagate.py", data, f"--output={output}", f"--workdir={workdir}")
        assert done.returncode == 2 and "lie in one another" in done.stderr, done.stderr
        assert not output.exists()
