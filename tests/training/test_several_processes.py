"""Training by several processes of this machine, which meet on its loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy

from wrp_jax.runs.checkpoints import Checkpoints

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STEPS = 40
SECONDS = 300  # for a busy machine; most are done in ten
# Sums over devices and processes are taken in another order: some units in the last place of a
# step, which Adam, dividing by small second moments, makes larger.
TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def start(count, workdir, *, seconds=0, only=None, words=(), environment=None):
    """Starts the processes of one job, or of those the ones that ``only`` names."""
    address = f"localhost:{free_port()}"
    processes = []
    for index in range(count) if only is None else only:
        meet = (address, count, index) if environment is None else ()
        more = {} if environment is None else environment(index, count)
        command = [HERE / "toy_processes.py", workdir, STEPS, seconds, *meet, *words]
        processes.append(
            subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **more},
            )
        )
    return processes


def finish(processes):
    try:
        ends = [process.communicate(timeout=SECONDS)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], ends


def until_logged(processes, workdir, step):
    """Waits until a line of metrics tells of this step or a later one."""
    deadline = time.monotonic() + SECONDS
    while max(trained_steps(workdir), default=0) < step:
        assert time.monotonic() < deadline and processes[0].poll() is None, finish(processes)
        time.sleep(0.02)


def trained_steps(workdir):
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


def trained(workdir):
    """The state of the last step, and the losses on the way."""
    checkpoints = Checkpoints(workdir / "checkpoints" / "toy", toy.METADATA)
    restored = checkpoints.restore(toy.initial_state())
    checkpoints.close()
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    losses = {line["step"]: line["loss"] for line in lines}
    return restored, losses


def assert_same(first, second):
    import jax

    assert first[0].step == second[0].step == STEPS
    assert first[1].keys() == second[1].keys()
    np.testing.assert_allclose([*first[1].values()], [*second[1].values()], rtol=1e-5)
    for a, b in zip(
        jax.tree.leaves(first[0].state.params),
        jax.tree.leaves(second[0].state.params),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, **TOLERANCE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with one device."""
    workdir = tmp_path_factory.mktemp("alone") / "RUN"
    toy.run(workdir, steps=STEPS)
    return trained(workdir)


def slurm(index, count):
    """What ``srun`` tells its tasks; JAX makes the port of the number of the job."""
    return {
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(count), "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index),
        "SLURM_STEP_NUM_NODES": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "environment"),
    [(2, slurm), (4, None)],
    ids=["2 by srun", "4 by flags"],
)
def test_several_processes_train_what_one_does(alone, tmp_path, count, environment):
    codes, ends = finish(start(count, tmp_path / "RUN", environment=environment))
    assert codes == [0] * count, ends
    assert f"toy {STEPS}/{STEPS}" in ends[0] and "toy" not in "".join(ends[1:]), ends
    assert_same(trained(tmp_path / "RUN"), alone)


def test_eight_devices_of_one_process_train_what_one_does(alone, tmp_path):
    toy.run(tmp_path / "RUN", steps=STEPS, devices=8)
    assert_same(trained(tmp_path / "RUN"), alone)


def test_a_signal_to_one_process_stops_all_and_a_killed_one_ends_all(alone, tmp_path):
    """Each time the same command goes on; at last as one process with one device.

    Each process has its part of the state, and writes it; the last one puts them together.
    """
    workdir = tmp_path / "RUN"
    processes = start(2, workdir, seconds=0.05, words=[SECONDS, "parts"])
    until_logged(processes, workdir, 3)
    processes[1].send_signal(signal.SIGTERM)
    codes, ends = finish(processes)
    assert codes == [4, 4], ends
    assert "stopped by SIGTERM" in ends[1] and "Traceback" not in "".join(ends), ends
    assert "has ended" not in "".join(ends), "each stops by itself"
    saved = max(int(step.name) for step in (workdir / "checkpoints/toy").iterdir())
    assert 3 <= saved < STEPS
    assert all(f"after step {saved} of {STEPS} of toy, saved" in end for end in ends), ends

    assert (workdir / f"checkpoints/toy/{saved}/state/ocdbt.process_1").is_dir()

    processes = start(2, workdir, seconds=0.05, words=[SECONDS, "parts", 4])
    until_logged(processes, workdir, saved + 3)
    processes[1].kill()
    codes, ends = finish(processes)
    assert codes == [5, -signal.SIGKILL], ends
    # In an exchange it is noticed at once; else process 0 misses its signs.
    said = ("another process does not answer any more", "process 1 has ended: it has given no sign")
    assert any(words in ends[0] for words in said) and "go on" in ends[0], ends

    toy.run(workdir, steps=STEPS)
    assert_same(trained(workdir), alone)


@pytest.mark.parametrize(
    ("here", "missing"),
    [(0, "fewer than --num_processes=2 have come to"), (1, "process 0 is missing")],
)
def test_a_process_that_does_not_come_is_named(tmp_path, here, missing):
    codes, ends = finish(start(2, tmp_path / "RUN", only=[here], words=[1]))
    assert codes == [5], ends
    assert f"process {here} has waited 1 s" in ends[0] and missing in ends[0]
    assert "Traceback" not in ends[0] and not (tmp_path / "RUN").exists()


IDLE = """
import sys, time
from wrp_jax import processes
from wrp_jax.cli.command_line import run

_, address, index = sys.argv

def main():
    with processes.joined(address, 2, int(index), lost_after=2):
        print("together", flush=True)
        time.sleep(100)

sys.argv[1:] = []
sys.exit(run(main))
"""


@pytest.mark.parametrize(("killed", "code"), [(1, 5), (0, -signal.SIGABRT)])
def test_a_process_killed_outside_of_an_exchange_is_missed(killed, code):
    """Of process 0, whose place it is to tell the others, JAX tells and aborts."""
    address = f"localhost:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", IDLE, address, str(index)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        )
        for index in range(2)
    ]
    assert all(process.stdout.readline() == "together\n" for process in processes)
    processes[killed].kill()
    start = time.monotonic()
    codes, ends = finish(processes)
    assert codes[1 - killed] == code, ends
    assert time.monotonic() - start < 2 + 10 + 50  # and some time for a busy machine
    if killed:
        assert "process 1 has ended: it has given no sign for 2 s; run the same" in ends[0]


def test_a_process_that_is_killed_before_an_agreement_ends_the_others(tmp_path):
    """They wait for what it would say, not for its devices."""
    program = f"""
import os, sys
index = int(sys.argv.pop())
from wrp_jax import processes
from wrp_jax.cli.command_line import run
def main():
    with processes.joined("localhost:{free_port()}", 2, index, lost_after=2):
        if index:
            os.kill(os.getpid(), 9)
        processes.align()
sys.exit(run(main))
"""
    path = tmp_path / "align.py"
    path.write_text(program)
    processes = [
        subprocess.Popen(
            [sys.executable, path, str(index)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        )
        for index in (0, 1)
    ]  # fmt: skip
    codes, ends = finish(processes)
    assert codes == [5, -signal.SIGKILL], ends
    said = "process 1 has ended: it has given no sign for 2 s; run the same command to go on.\n"
    assert ends[0] == f"align.py: {said}"
