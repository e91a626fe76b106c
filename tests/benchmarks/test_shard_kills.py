"""Shards that are killed and started again end with the bytes of one process.

A few kills; ``WRP_JAX_KILLS=50`` kills that often for each number of shards.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = int(os.environ.get("WRP_JAX_KILLS", "3"))
CODE = """
import json, sys
from benchmarks.shard_kills import kill_all_shards
print(json.dumps(kill_all_shards(sys.argv[1], int(sys.argv[2]), seed=1)))
"""


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="kills are watched by POSIX's waitid")
def test_killed_shards_end_with_the_bytes_of_one_process(tmp_path):
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path), str(KILLS)],
        env={**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert set(found) == {"1", "2", "3", "7"}
    for count, counts in found.items():
        assert counts["equal"] == 1, (count, counts)
    assert sum(counts["kills"] for counts in found.values()) > 2 * KILLS, found
