"""Which shard a process is: what SLURM and Open MPI set, without asking anybody."""

import jax
import pytest

from wrp_jax.cli.shard_flags import shard_of_cluster
from wrp_jax.files.shards import Shard
from wrp_jax.types import UserError


def array(task, count, least=0, step=1):
    names = {"ID": task, "COUNT": count, "MIN": least, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


def srun(process, count):
    return {"SLURM_STEP_NUM_TASKS": str(count), "SLURM_PROCID": str(process)}


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({}, Shard(0, 1)),
        (array(2, 4), Shard(2, 4)),
        (array(9, 4, least=6), Shard(3, 4)),  # --array=6-9
        (array(8, 4, least=2, step=2), Shard(3, 4)),  # --array=2-9:2
        (array(5, 1, least=5), Shard(0, 1)),  # --array=5: what is left is its own
        (srun(3, 8), Shard(3, 8)),
        (srun(0, 1), Shard(0, 1)),
        # A batch script that does not call srun is one process, whatever the job may have.
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, Shard(0, 1)),
        (array(1, 3) | srun(2, 4), Shard(6, 12)),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"}, Shard(1, 4)),
    ],
)
def test_the_shard_of_a_process(environment, shard):
    assert shard_of_cluster(environment) == shard


def test_every_task_of_an_array_is_another_shard():
    found = {shard_of_cluster(array(i, 5, 1) | srun(j, 3)) for i in range(1, 6) for j in range(3)}
    assert found == {Shard(i, 15) for i in range(15)}


@pytest.mark.parametrize("task", [7, 4])
def test_an_array_with_gaps_is_refused(task):
    says = f"^--shard_id is missing: the numbers .* task {task} does not say which of 3 shards"
    with pytest.raises(UserError, match=says):
        shard_of_cluster(array(task, 3, least=1, step=2))  # --array=1,4,7 says 1, too


def test_elsewhere_the_runtime_says_which_host_it_is(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    monkeypatch.setattr(jax, "process_index", lambda: 2)
    assert shard_of_cluster({}) == Shard(2, 4)


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "2"},
        {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_STEP": "0"},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": ""},
    ],
)
def test_variables_that_are_no_numbers_are_told(environment):
    with pytest.raises(UserError, match="do not say which shard this is"):
        shard_of_cluster(environment)
