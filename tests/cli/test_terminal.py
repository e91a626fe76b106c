"""Printing never fails a run, whatever standard output and error are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = r"""
import sys
from wrp_jax.cli.command_line import run

def main():
    for i in range(3000):
        print(f"{i} \u00b1 \u6f22 \udc80", flush=i % 100 == 0)
        print("\u00b1", file=sys.stderr)
    with open(sys.argv.pop(), "w") as file:
        file.write(f"fd {file.fileno() > 2}")

if __name__ == "__main__":
    place = sys.argv[1]
    sys.argv = ["program"]
    sys.exit(run(lambda: (sys.argv.append(place), main())[1]))
"""


def shell(tmp_path, redirection, **environment):
    """Exit code of the program, and what comes out of the whole line."""
    (tmp_path / "program.py").write_text(PROGRAM)
    line = f"{sys.executable} program.py done {redirection}"
    result = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize(
    "redirection",
    [
        "",
        "| head -n 1; exit ${PIPESTATUS[0]}",
        "2>&1 | head -n 1; exit ${PIPESTATUS[0]}",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
        "> /dev/full",
    ],
)
def test_any_output_is_taken(tmp_path, redirection):
    code, _, error = shell(tmp_path, redirection, PYTHONIOENCODING="ascii")
    assert code == 0, error
    assert (tmp_path / "done").read_text() == "fd True"
    assert b"Traceback" not in error and b"Exception ignored" not in error


def test_what_an_encoding_lacks_is_escaped(tmp_path):
    _, output, _ = shell(tmp_path, "", PYTHONIOENCODING="ascii")
    assert output.startswith(b"0 \\xb1 \\u6f22 \\udc80\n1 ")
    _, output, _ = shell(tmp_path, "", PYTHONIOENCODING="utf-8")
    assert output.startswith("0 \u00b1 \u6f22 \\udc80\n1 ".encode())
    assert output.count(b"\n") == 3000


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_the_overview_is_taken_by_a_reader_that_has_ended(tmp_path, words):
    line = f"{sys.executable} -m wrp_jax {words} | true; exit ${{PIPESTATUS[1]}}"
    result = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 0 and result.stderr == b""
