"""Kills shards of a labelling at seeded moments: ``python -m benchmarks.shard_kills [--kills 25]``.

For each number of shards all are started at once, in a seeded order. SIGKILL comes to one of those
at work at a time, at any moment, also while it merges, and that one is started again. What the last
one has left is compared, byte by byte, with what one process leaves that nobody stopped.
``--record=shard_kills`` writes ``results/shard_kills.json``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kills import COMMANDS, contents, ended, make_input, run, start
from experiments.record import record_option, write_result

COUNTS = (1, 2, 3, 7)
"""Numbers of shards; there are three sequences."""
NAME = "motion-only"


def kill_shards(home: Path, count: int, kills: int, seed: int) -> dict[str, int]:
    """Labels in so many shards that are killed so often in all.

    Args:
      home: of ``make_input``, with what one process has left in ``whole``.
      count: of the shards.
      kills: in all.
      seed: of order and moments.

    Returns:
      ``kills``; ``merging``, how many of them came once one had begun to merge; and ``equal``, 1 if
      the bytes are those of one process.

    Raises:
      RuntimeError: a shard ended in another way than by the signal or with exit code 0.
    """
    rng, cut = random.Random(f"shards {count} {seed}"), home / f"in_{count}"

    def begin(index: int) -> None:
        words = [*COMMANDS[NAME].words, f"--output={cut.name}"]
        words += [f"--num_shards={count}", f"--shard_id={index}"]
        running[start(home, words, lasting=False, log=f"log_{index}.txt")] = index

    running: dict[int, int] = {}
    for index in rng.sample(range(count), count):
        begin(index)
    since, moment = time.monotonic(), rng.uniform(0, 0.4)
    found = {"kills": 0, "merging": 0, "equal": 0}
    while running:
        for child in [child for child in running if ended(child)]:
            index, code = running.pop(child), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code:
                text = (home / f"log_{index}.txt").read_text()
                raise RuntimeError(f"shard {index} of {count}: exit code {code}\n{text}")
        # Two of three at any moment, the last third once scores are there: one shard merges then.
        late = 3 * found["kills"] >= 2 * kills and not (cut / "metrics.json").exists()
        due = found["kills"] < kills and not late and time.monotonic() - since > moment
        if due and running:
            child = rng.choice(sorted(running))
            index = running.pop(child)
            os.kill(child, signal.SIGKILL)
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL:
                found["kills"] += 1
                found["merging"] += (cut / "metrics.json").exists()
            begin(index)
            since, moment = time.monotonic(), rng.uniform(0, 0.8)
        time.sleep(0.002)
    found["equal"] = int(contents(NAME, cut) == contents(NAME, home / "whole"))
    return found


def kill_all_shards(
    folder: str, kills: int, seed: int = 0, counts: Sequence[int] = COUNTS
) -> dict[str, dict[str, int]]:
    """Kills shards of each number of them so often.

    Args:
      folder: an empty one, for input and results.
      kills: of each number of shards.
      seed: of order and moments.
      counts: numbers of shards.

    Returns:
      By number of shards what ``kill_shards`` returns.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{folder}/compiled")
    import wrp_jax.labelling.merging  # noqa: F401

    home = Path(folder)
    make_input(home)
    if run(home, [*COMMANDS[NAME].words, "--output=whole"]):
        raise RuntimeError((home / "log.txt").read_text())
    found = {}
    for count in counts:
        found[str(count)] = kill_shards(home, count, kills, seed)
        shutil.rmtree(home / f"in_{count}")
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=25, help="of each number of shards")
    parser.add_argument("--seed", type=int, default=0)
    record_option(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_all_shards(folder, given.kills, given.seed)
    print(found)
    if given.record:
        write_result(
            given.record,
            found,
            seeds=[given.seed],
            note="By number of shards: kills; those that came once one had begun to merge; and "
            "whether what was left in the end was equal to what one process leaves.",
        )


if __name__ == "__main__":
    main()
