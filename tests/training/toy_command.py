"""The toy's training as a command: exit codes, one writer, what happens on the way.

python toy_command.py WORKDIR STEPS SECONDS_PER_EXAMPLE [WORKERS [EXAMPLE EVENT PLACE]]

EVENT happens once, before that example: ``fill`` leaves no space on the disk of the file PLACE,
``remove`` removes the folder PLACE.
"""

import functools
import os
import shutil
import sys
import time
from pathlib import Path

from wrp_jax.cli.command_line import run
from wrp_jax.files.lock import sole_writer


def fill(place):
    handle = os.open(place, os.O_WRONLY | os.O_CREAT)
    for size in (4096, 1):
        try:
            while True:
                os.write(handle, b"x" * size)
        except OSError:
            pass
    os.close(handle)


CALLS = []
EVENTS = {"fill": fill, "remove": shutil.rmtree, "": None}


def transform(seconds, when, event, place, example, rng):
    CALLS.append(1)
    if len(CALLS) == when:
        EVENTS[event](place)
    time.sleep(seconds)
    import toy

    return toy.augment(example, rng)


def main(workdir, steps, seconds, workers=0, when=0, event="", place=""):
    print("begins", flush=True)
    import toy  # JAX comes with it: a signal may come before

    draw = functools.partial(transform, float(seconds), int(when), event, place)
    with sole_writer(Path(workdir), "--workdir"):
        toy.run(workdir, steps=int(steps), transform=draw, workers=int(workers))


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.argv = ["toy_command.py"]
    sys.exit(run(lambda: main(*words)))
