"""``--num_shards`` and ``--shard_id``: which part of the work is this process's."""

from __future__ import annotations

import os
from collections.abc import Mapping

from absl import flags

from wrp_jax.files.shards import MAX_SHARDS, WHOLE, Shard
from wrp_jax.types import UserError


def define_shards() -> None:
    """Defines the flags of ``shard``."""
    flags.DEFINE_integer(
        "num_shards",
        None,
        "How many processes share the sequences. Default: as the cluster says.",
    )
    flags.DEFINE_integer("shard_id", None, "The number of this process, from 0.")


def shard() -> Shard:
    """The shard of the flags; without them that of the cluster, see ``shard_of_cluster``.

    Raises:
      UserError: one flag without the other, or no such shard.
    """
    count, index = flags.FLAGS.num_shards, flags.FLAGS.shard_id
    if count is None and index is None:
        return shard_of_cluster(os.environ)
    if count == 1 and index is None:
        return WHOLE
    if count is None or index is None:
        missing = "num_shards" if count is None else "shard_id"
        raise UserError(f"--{missing} is missing: shards need --num_shards=N and --shard_id=0…N-1.")
    if not 1 <= count <= MAX_SHARDS:
        raise UserError(f"--num_shards={count} must be at least 1 and at most {MAX_SHARDS}.")
    if not 0 <= index < count:
        raise UserError(f"--shard_id={index} is not one of {count} shards: give 0…{count - 1}.")
    return Shard(index, count)


def shard_of_cluster(environment: Mapping[str, str]) -> Shard:
    """A shard for each task of a SLURM array, and in it for each of ``srun``; or of Open MPI.

    Elsewhere for each process that JAX knows of: several on a TPU slice, whose runtime numbers the
    hosts; else one. Nothing is exchanged between them.

    Args:
      environment: variables of it.

    Raises:
      UserError: an array whose numbers have gaps, or a variable that is no number.
    """
    try:
        array, several = _array_task(environment), _among_tasks(environment)
    except UserError:
        raise
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(
            f"--shard_id is missing: the variables of the cluster (SLURM_..., OMPI_...) do not say "
            f"which shard this is ({error}): give --num_shards and --shard_id."
        ) from error
    if several is not None:
        index, tasks = several
        return Shard(array.index * tasks + index, array.count * tasks)
    if not array.is_all:
        return array
    import jax  # whose backend starts here

    return Shard(jax.process_index(), jax.process_count())


def _among_tasks(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Which of several tasks that are started together, and how many they are."""
    for count, index in (
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ):
        tasks = int(environment.get(count, 1))
        if tasks > 1 and index in environment:
            return int(environment[index]), tasks
    return None


def _array_task(environment: Mapping[str, str]) -> Shard:
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return WHOLE
    task, count, least, step = (
        int(environment.get(f"SLURM_ARRAY_TASK_{name}", default))
        for name, default in (("ID", 0), ("COUNT", 1), ("MIN", 0), ("STEP", 1))
    )
    if count == 1:
        return WHOLE
    index, rest = divmod(task - least, step)
    if rest or not 0 <= index < count:
        raise UserError(
            f"--shard_id is missing: the numbers of this SLURM array have gaps, and task {task} "
            f"does not say which of {count} shards it is; give --num_shards and --shard_id."
        )
    return Shard(index, count)
