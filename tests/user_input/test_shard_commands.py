"""Shards through the commands: who is refused, what is merged, and by which exit code."""

import json

import numpy as np
import pytest
from small_folder import command, refused, save, tree

STATIC = ("--method=static", "--num_shards=2")


@pytest.fixture
def home(home):
    """With a second, shorter sequence ``b``: shard 0 of 2 has ``a``, shard 1 has ``b``."""
    for t in range(3):
        save(home / "D/b/frames" / f"{t}.png", np.full((17, 31, 3), t))
    save(home / "D/b/labels/1.png", np.zeros((17, 31)))
    return home


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".digests.json"
    }


def test_shards_of_propagate(server, home):
    said = "--shard_id is missing: shards need --num_shards=N and --shard_id=0…N-1."
    refused(server, home, "propagate.py", said, *STATIC)
    refused(server, home, "propagate.py", "--shard_id=2 is not one of 2", *STATIC, "--shard_id=2")
    code, _, error = command(server, home, "propagate.py", *STATIC, "--shard_id=1")
    assert code == 0 and "shard 1 of 2 has ended; not finished yet: 0." in error
    first = (*STATIC, "--shard_id=0")
    horizon = "--config.propagation.horizon=3"
    refused(
        server, home, "propagate.py", "OUT holds results of a run that differs in", *first, horizon
    )
    refused(server, home, "propagate.py", "of --data=D, not of ./D", *first, "--data=./D")
    refused(server, home, "wrp merge", "1 of 2 shards is not finished: run wrp propagate with "
            "--num_shards=2 and --shard_id=0 again", "--config=NONE", "--data=NONE")  # fmt: skip
    job = home / "OUT/.shards/job.json"
    noted = job.read_text()
    for key in ("data", "windows", "horizon"):
        content = json.loads(noted)
        content["command"][key] = [1]
        job.write_text(json.dumps(content))
        refused(server, home, "wrp merge", "job.json is damaged", "--config=NONE", "--data=NONE")
    job.write_text(noted)
    code, out, _ = command(server, home, "propagate.py", *first, "--dry-run")
    assert code == 0 and "shard 0 of 2: 3 windows, " in out
    code, out, error = command(
        server, home, "propagate.py", "--method=static", SLURM_ARRAY_TASK_ID="0",
        SLURM_ARRAY_TASK_COUNT="2", SLURM_ARRAY_TASK_MIN="0",
    )  # fmt: skip
    assert code == 0 and "OUT/report.html shows the labels." in error
    assert command(server, home, "propagate.py", "--method=static", "--output=WHOLE")[0] == 0
    assert files(home / "OUT") == files(home / "WHOLE")


def test_shards_of_flow(server, home):
    assert command(server, home, "wrp flow", "--output=WHOLE", "--apart=1,2")[0] == 0
    first, second = (("--num_shards=2", f"--shard_id={i}") for i in range(2))
    code, out, error = command(server, home, "wrp flow", *second, "--apart=1,2")
    assert code == 0 and out.startswith("6 flow files") and "not finished yet: 0." in error
    (home / "D/a/frames/4.png").rename(home / "elsewhere.png")  # other frames: shards begin anew
    assert command(server, home, "wrp flow", *first, "--apart=1,2", "--limit=1")[0] == 0
    (home / "elsewhere.png").rename(home / "D/a/frames/4.png")
    for words in (first, second):
        assert command(server, home, "wrp flow", *words, "--apart=1,2")[0] == 0
    assert files(home / "OUT") == files(home / "WHOLE")
    assert not [path for path in tree(home / "OUT") if path.name == ".shards"]
