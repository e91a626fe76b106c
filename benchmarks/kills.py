"""Kills every command at seeded moments: ``python -m benchmarks.kills [--kills 50] [COMMAND …]``.

SIGKILL, which nothing can answer. After a few kills the same command runs to its end, and all that
it leaves behind is compared, byte by byte, with what a run that nobody stopped has left. Half of
the kills come at any moment from the start on, half once the command has begun to write; of train,
half of them once the refiner's stage has begun, in its examples, its compilation and its steps.
``--record=kills`` writes ``results/kills_COMMAND.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from experiments.record import record_option, write_result

SIZE = (17, 31)
FRAMES, LABELLED = 7, (1, 5)
LOG = "log.txt"
IN_A_ROW = 3
"""Kills before a run is left alone."""
CONFIG = """
from wrp_jax.config import Config

def get_config():
    config = Config()
    config.segmentation.name = "light"
    config.motion.preset = "ultrafast"
    config.propagation.horizon = 2
    config.segmentation.network.width, config.segmentation.inference.flip = 4, False
    config.segmentation.optimiser.steps = config.segmentation.optimiser.batch_size = 2
    config.segmentation.sampling.crop = (16, 16)
    options = config.refiner
    options.clips, options.crops, options.batch_size, options.steps = 2, 1, 2, 40
    options.width = options.class_width = 4
    options.class_convs = 1
    return config
"""


class Command(NamedTuple):
    """What is killed.

    Attributes:
      words: of the command, without its folder.
      flag: that names the folder.
      begun: folder in there from whose appearance on half of the kills count; of train, where
        the refiner's examples are.
    """

    words: tuple[str, ...]
    flag: str
    begun: str


_INPUT = ("--config=config.py", "--data=D")
COMMANDS = {
    "train": Command(("train", *_INPUT), "--workdir", "examples"),
    "motion-only": Command(("propagate", *_INPUT, "--method=motion-only"), "--output", ""),
    "propagate": Command(("propagate", *_INPUT, "--workdir=RUN"), "--output", ""),
    "predict": Command(("predict", *_INPUT, "--workdir=RUN"), "--output", ""),
    "flow": Command(("flow", *_INPUT), "--output", ""),
}


def make_input(home: Path) -> None:
    """Three sequences of 7 frames of 17x31, two of them labelled; ``config.py``."""
    rng = np.random.default_rng(0)
    for sequence in "abc":
        for kind in ("frames", "labels"):
            (home / "D" / sequence / kind).mkdir(parents=True)
        for t in range(FRAMES):
            frame = rng.integers(0, 256, (*SIZE, 3), np.uint8)
            Image.fromarray(frame).save(home / f"D/{sequence}/frames/{t}.png")
        for t in LABELLED:
            label = rng.choice(np.array([0, 7], np.uint8), SIZE)
            Image.fromarray(label).save(home / f"D/{sequence}/labels/{t}.png")
    classes = [{"id": 0, "name": "road"}, {"id": 7, "name": "car"}]
    (home / "D/classes.json").write_text(json.dumps({"classes": classes}))
    (home / "config.py").write_text(CONFIG)


def run(home: Path, words: list[str], kill: tuple[Path | None, float] | None = None) -> int:
    """Runs a command in a process of its own; its exit code, or minus the signal that ended it.

    Args:
      home: the folder to run it in.
      words: of the command.
      kill: so many seconds after the path is there, or after the start; None: it is left alone.
    """
    child = start(home, words, lasting=kill is None)
    if kill is not None:
        path, seconds = kill
        while path is not None and not path.exists() and not ended(child):
            time.sleep(0.002)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not ended(child):
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)  # an ended one waits to be waited for
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def start(home: Path, words: list[str], *, lasting: bool, log: str = LOG) -> int:
    """Starts a command in a process of its own; its number.

    A fork: JAX is imported once for all, and its backend has not started.

    Args:
      home: the folder to run it in.
      words: of the command.
      lasting: whether nobody will kill it.
      log: file in the folder for all that it prints.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of forks
        child = os.fork()
    if not child:
        _child(home, words, lasting=lasting, log=log)
    return child


def _child(home: Path, words: list[str], *, lasting: bool, log: str) -> None:
    code = 99
    try:
        handle = os.open(home / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.chdir(home)
        import jax

        from wrp_jax.cli.main import main as wrp

        if not lasting:  # JAX's store of programs is not what is tested: half a file stays there
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
        code = wrp(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> bool:
    """Whether a process has ended; it still waits to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def contents(name: str, folder: Path) -> dict[str, bytes]:
    """What a command has left behind: of train, the networks; of the others, everything.

    The memory of digests is left out, which knows files by the time at which they were written.
    """
    from wrp_jax.files.digests import DIGESTS_FILE

    if name == "train":
        return {path.name: path.read_bytes() for path in folder.glob("*.npz")}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != DIGESTS_FILE
    }


def kill_command(home: Path, name: str, kills: int, seed: int) -> dict[str, int]:
    """Kills one command so often.

    Returns:
      ``kills``; ``begun``, how many of them came when that folder was there; ``runs`` that were
      left alone after kills, and ``equal``: how many of them left the bytes of a run that nobody
      stopped.

    Raises:
      RuntimeError: a run ended in another way than by the signal or with exit code 0.
    """
    command = COMMANDS[name]
    # The others read the networks of RUN.
    whole, cut = home / ("RUN" if name == "train" else f"{name}_whole"), home / f"{name}_cut"
    seconds = _run_whole(home, name, whole)
    expected, rng = contents(name, whole), random.Random(f"{name} {seed}")
    words = [*command.words, f"{command.flag}={cut.name}"]
    found = {"kills": 0, "begun": 0, "runs": 0, "equal": 0}
    in_a_row = 0
    while found["kills"] < kills or in_a_row:
        moment = None
        if in_a_row < IN_A_ROW and found["kills"] < kills:
            late = found["kills"] % 2 == 0
            moment = (cut / command.begun, rng.uniform(0, seconds / 2)) if late else (
                None, rng.uniform(0, seconds))  # fmt: skip
        began = time.monotonic()
        code = run(home, words, moment)
        if code == -signal.SIGKILL:
            found["kills"] += 1
            found["begun"] += (cut / command.begun).is_dir()
            in_a_row += 1
        elif code:
            raise _wrong(home, name, code)
        else:
            if not in_a_row:  # faster than the first, whose programs were not compiled
                seconds = time.monotonic() - began
            if in_a_row:
                found["runs"] += 1
                found["equal"] += contents(name, cut) == expected
            shutil.rmtree(cut)
            in_a_row = 0
    return found


def _run_whole(home: Path, name: str, folder: Path) -> float:
    """Seconds of a run that nobody stops."""
    command, began = COMMANDS[name], time.monotonic()
    code = run(home, [*command.words, f"{command.flag}={folder.name}"])
    if code:
        raise _wrong(home, name, code)
    return time.monotonic() - began


def _wrong(home: Path, name: str, code: int) -> RuntimeError:
    return RuntimeError(f"{name}: exit code {code}\n{(home / LOG).read_text()}")


def kill_all(
    folder: str, kills: int, seed: int = 0, names: Sequence[str] = tuple(COMMANDS)
) -> Iterator[tuple[str, dict[str, int]]]:
    """Kills commands so often, one after the other.

    Args:
      folder: an empty one, for input and results.
      kills: of each command.
      seed: of the moments.
      names: of the commands; train first.

    Yields:
      The name of a command, and what ``kill_command`` returns of it.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{folder}/compiled")
    import wrp_jax.labelling.finish
    import wrp_jax.labelling.run
    import wrp_jax.training.refiner.stage  # noqa: F401

    home = Path(folder)
    make_input(home)
    needed = any("--workdir=RUN" in COMMANDS[name].words for name in names)
    if needed and "train" not in names:
        _run_whole(home, "train", home / "RUN")
    for name in names:
        yield name, kill_command(home, name, kills, seed)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", help=f"of {', '.join(COMMANDS)}; all if absent")
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    record_option(parser)
    given = parser.parse_args()
    unknown = set(given.commands) - set(COMMANDS)
    if unknown:
        parser.error(f"no such command: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        names = [name for name in COMMANDS if name in (given.commands or COMMANDS)]
        figures = {}
        for name, figures[name] in kill_all(folder, given.kills, given.seed, names):
            print(f"{name}: {figures[name]}", flush=True)
    # Not before: writing asks JAX for its devices, and processes are forked without a backend.
    for name, found in figures.items() if given.record else ():
        write_result(
            f"{given.record}_{name.replace('-', '_')}",
            found,
            seeds=[given.seed],
            note="Kills; those that came when results (of train: the refiner's examples) were "
            "being written; runs after kills, and how many of them left the bytes of a run that "
            "nobody stopped.",
        )


if __name__ == "__main__":
    main()
