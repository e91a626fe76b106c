"""``wrp view`` as a user runs it."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.commands
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_the_report_until_it_is_told_to_end(tmp_path, end):
    (tmp_path / "OUT").mkdir()
    (tmp_path / "OUT" / "report.html").write_text("<title>mine</title>")
    process = subprocess.Popen(
        [sys.executable, "-m", "wrp_jax", "view", "OUT", "--port=0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    try:
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=300) as answer:
            assert answer.read() == b"<title>mine</title>"
        process.send_signal(end)
        rest, errors = process.communicate(timeout=300)
        assert (process.returncode, rest, errors) == (0, "", "")
    finally:
        process.kill()
