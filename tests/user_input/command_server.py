"""Runs programs of the repository in processes of their own, importing JAX once for all.

Reads ``[cwd, [program, flag, …], environment]`` per line of JSON, the last if there is any; answers
``[exit code, stdout, stderr]``.
"""

import json
import os
import runpy
import sys
import tempfile
import warnings
from pathlib import Path

import wrp_jax.labelling.finish
import wrp_jax.labelling.run
import wrp_jax.training.refiner.stage  # noqa: F401

ROOT = Path(__file__).parents[2]


def run(
    cwd: str, words: list[str], environment: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Forks: flags, signal handlers and the like are those of a fresh program."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # JAX warns of forks; its backend has not started
            child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.chdir(cwd)
            os.environ |= environment or {}
            program = str(ROOT / words[0])
            sys.argv = [program, *words[1:]]
            code = 99
            try:
                runpy.run_path(program, run_name="__main__")
            except SystemExit as end:
                code = 0 if end.code is None else int(end.code)
            except BaseException:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return code, texts[0], texts[1]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(*json.loads(line))), flush=True)
