"""Killed and started again, a command ends with the bytes of one run.

A few kills of the commands that need no training; ``WRP_JAX_KILLS=50`` kills each command that
often, train and its refiner's steps included.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.commands

KILLS = int(os.environ.get("WRP_JAX_KILLS", "4"))
CODE = """
import json, sys
from benchmarks.kills import COMMANDS, kill_all
names = sys.argv[3:] or tuple(COMMANDS)
print(json.dumps(dict(kill_all(sys.argv[1], int(sys.argv[2]), seed=1, names=names))))
"""


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="kills are watched by POSIX's waitid")
def test_killed_commands_end_with_the_bytes_of_one_run(tmp_path):
    names = () if "WRP_JAX_KILLS" in os.environ else ("motion-only", "flow")
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path), str(KILLS), *names],
        env={**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found
    for name, counts in found.items():
        assert counts["kills"] == KILLS and counts["equal"] == counts["runs"] > 0, (name, counts)
        assert counts["begun"] > 0, (name, counts)
