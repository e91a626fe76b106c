"""``propagate.py`` as a user runs it: in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

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


def command(program, data, *flags):
    home = data.parent
    words = [sys.executable, str(ROOT / program), f"--config={home / 'config.py'}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # of the config, beside it
    return subprocess.run(
        [*words, f"--data={data}", *flags],
        capture_output=True, text=True, cwd=home, env=environment,
    )  # fmt: skip


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
    for folder in (out / "street").iterdir():
        assert sorted(p.name for p in folder.iterdir()) == [f"{t}.png" for t in range(4)]


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
