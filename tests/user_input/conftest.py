"""A folder of one small video, and a process that runs the commands on it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_folder import CLASSES, save, write

ROOT = Path(__file__).parents[2]
CONFIG = """
from wrp_jax.config import Config

def get_config():
    config = Config()
    config.segmentation.optimiser.steps = 1
    return config
"""


@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "command_server.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu",
             "PYTHONDONTWRITEBYTECODE": "1"},  # of the config, beside it
    )  # fmt: skip
    yield process
    process.communicate()


@pytest.fixture
def home(tmp_path):
    """``D`` with 5 frames of 17x31 in sequence ``a``, labels of 1 and 3; ``config.py``."""
    rng = np.random.default_rng(0)
    for t in range(5):
        save(tmp_path / "D/a/frames" / f"{t}.png", rng.integers(0, 256, (17, 31, 3)))
    for t in (1, 3):
        save(tmp_path / "D/a/labels" / f"{t}.png", rng.choice([0, 7], (17, 31)))
    write(tmp_path / "D/classes.json", json.dumps({"classes": CLASSES}))
    write(tmp_path / "config.py", CONFIG)
    write(tmp_path / "keys.txt", "a 1\n")
    return tmp_path
