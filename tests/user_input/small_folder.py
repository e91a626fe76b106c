"""What tests of the commands share: a small folder's files, and the commands run on it."""

import json

import numpy as np
from PIL import Image

CLASSES = [
    {"id": 0, "name": "road", "color": [90, 9, 9]},
    {"id": 7, "name": "car", "color": [9, 9, 90]},
]


def save(path, pixels, dtype=np.uint8, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    Image.fromarray(np.asarray(pixels).astype(dtype)).save(path, **options)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def classes(home, entries, **more):
    write(home / "D/classes.json", json.dumps({"classes": entries, **more}))


def command(server, home, program, *flags, **environment):
    """``(exit code, stdout, stderr)``; the flags given take the place of the usual ones.

    The program is a file at the top of the repository, or ``wrp COMMAND``.
    """
    usual = {"--config": "config.py", "--data": "D"}
    usual |= {"--workdir": "RUN"} if program == "train.py" else {"--output": "OUT"}
    if program == "propagate.py":
        usual["--method"] = "motion-only"
    given = {flag.partition("=")[0] for flag in flags}
    words = [f"{name}={value}" for name, value in usual.items() if name not in given]
    words += [flag for flag in flags if not flag.endswith("=NONE")]
    name, _, subcommand = program.partition(" ")
    file = [name] if name != "wrp" else ["wrp_jax/__main__.py", subcommand]
    server.stdin.write(json.dumps([str(home), [*file, *words], environment]) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


def tree(folder):
    """What there is; folders without their times, which change while a lock is held."""
    found = sorted(folder.rglob("*"))
    return {p: p.is_dir() or (p.lstat().st_mtime_ns, p.lstat().st_size) for p in found}


def refused(server, home, program, said, *flags):
    before = tree(home)
    code, _, error = command(server, home, program, *flags)
    assert code == 2, error
    assert error.startswith(f"{program}: ") and error.count("\n") == 1, error
    assert said in error
    assert tree(home) == before
