"""The toy's training in one of several processes.

python toy_processes.py WORKDIR STEPS SECONDS_PER_EXAMPLE [COORDINATOR COUNT INDEX [TIMEOUT
    [SHARDING [LOST_AFTER]]]]

Without a coordinator the processes find each other, as under SLURM.
"""

import contextlib
import sys
import time
from pathlib import Path

from wrp_jax.cli.command_line import run


def main(
    workdir, steps, seconds, coordinator=None, count=None, index=None, timeout=120,
    sharding="replicated", lost_after=30,
):  # fmt: skip
    from wrp_jax import processes

    numbers = [None if n is None else int(n) for n in (count, index)]
    times = {"timeout": int(timeout), "lost_after": int(lost_after)}
    with processes.joined(coordinator, *numbers, **times):
        import jax
        import toy

        from wrp_jax.files.lock import sole_writer

        def draw(example, rng):
            time.sleep(float(seconds))
            return toy.augment(example, rng)

        with contextlib.ExitStack() as stack:
            lock = sole_writer(Path(workdir), "--workdir")
            processes.first(lambda: stack.enter_context(lock))
            devices = jax.device_count()
            toy.run(workdir, steps=int(steps), transform=draw, devices=devices, sharding=sharding)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.argv = ["toy_processes.py"]
    sys.exit(run(lambda: main(*words)))
