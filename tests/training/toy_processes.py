"""The toy's training in one of several processes.

python toy_processes.py WORKDIR STEPS SECONDS_PER_EXAMPLE [COORDINATOR COUNT INDEX [TIMEOUT]]

Without a coordinator the processes find each other, as under SLURM.
"""

import contextlib
import sys
import time
from pathlib import Path

from wrp_jax.cli.command_line import run


def main(workdir, steps, seconds, coordinator=None, count=None, index=None, timeout=120):
    from wrp_jax import processes

    numbers = [None if n is None else int(n) for n in (count, index)]
    with processes.joined(coordinator, *numbers, timeout=int(timeout)):
        import jax
        import toy

        from wrp_jax.files.lock import sole_writer

        def draw(example, rng):
            time.sleep(float(seconds))
            return toy.augment(example, rng)

        with contextlib.ExitStack() as stack:
            lock = sole_writer(Path(workdir), "--workdir")
            processes.first(lambda: stack.enter_context(lock))
            toy.run(workdir, steps=int(steps), transform=draw, devices=jax.device_count())


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.argv = ["toy_processes.py"]
    sys.exit(run(lambda: main(*words)))
