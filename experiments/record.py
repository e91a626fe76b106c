"""Results as files: what was measured, by which command, at which commit, on which machine.

Benchmarks and experiments take ``--record=NAME`` and end with ``write_result``, which writes
``results/NAME.json``; ``python -m experiments.tables`` puts the figures into the documents.
results/README.md describes the fields.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wrp_jax.files.atomic import write_atomically

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"

MACHINE = ("cores", "cpu", "memory_gib", "accelerator", "jax", "remark")
FIELDS = (
    "name", "command", "commit", "uncommitted", "date", "machine", "seeds", "origin", "note",
    "figures",
)  # fmt: skip
ORIGINS = ("measured", "transcribed")

Figures = Mapping[Any, Any]
"""Numbers by name, in any depth: ``{"warp-refine": {"1": 86.4}}``. None is unknown.

Keys are written as text."""


def write_result(
    name: str,
    figures: Figures,
    *,
    command: str | None = None,
    seeds: Sequence[int] | None = None,
    note: str | None = None,
    remark: str | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Writes ``NAME.json`` with the figures, today's date, the commit and the machine.

    Args:
      name: of the file, in ``a-z0-9_``.
      figures: numbers in a mapping of mappings; NumPy scalars are turned into plain numbers.
      command: as a person types it; the command of this process where it is None.
      seeds: that decided the figures; None where nothing is drawn.
      note: one sentence on what the figures are, with their unit.
      remark: what else the machine did, such as "shared with another job".
      folder: where the file goes.

    Returns:
      The path of the file.

    Raises:
      ValueError: the name or a figure is not of this form.
    """
    result = {
        "name": name,
        "command": command or this_command(),
        **_commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {**machine(), "remark": remark},
        "seeds": None if seeds is None else [int(seed) for seed in seeds],
        "origin": "measured",
        "note": note,
        "figures": _plain(figures),
    }
    check_result(result, name)
    path = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def record_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--record=NAME``, by which a command writes what it has measured."""
    parser.add_argument("--record", metavar="NAME", help="write results/NAME.json")


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """All results of a folder by name.

    Raises:
      ValueError: a file is not a result.
    """
    results = {}
    for path in sorted(folder.glob("*.json")):
        results[path.stem] = json.loads(path.read_text())
        check_result(results[path.stem], path.stem)
    return results


def check_result(result: Mapping[str, Any], name: str) -> None:
    """Compares a result with the fields that results/README.md lists.

    Raises:
      ValueError: naming the result and the first field that is wrong.
    """

    def expect(right: bool, what: str) -> None:
        if not right:
            raise ValueError(f"results/{name}.json: {what}")

    expect(tuple(result) == FIELDS, f"its fields must be {', '.join(FIELDS)}, in this order")
    expect(result["name"] == name, f"its name is {result['name']!r}: use the name of the file")
    expect(bool(re.fullmatch("[a-z0-9_]+", name)), "a name has lower-case letters, digits and _")
    expect(isinstance(result["command"], str), "command must be a text")
    commit, date, seeds = result["commit"], result["date"], result["seeds"]
    expect(commit is None or bool(re.fullmatch("[0-9a-f]{7,40}", commit)), "commit is no hash")
    expect(result["uncommitted"] in (True, False, None), "uncommitted is true, false or null")
    if date is not None:
        datetime.date.fromisoformat(date)
    expect(tuple(result["machine"]) == MACHINE, f"machine must have {', '.join(MACHINE)}")
    expect(seeds is None or all(type(seed) is int for seed in seeds), "seeds must be whole numbers")
    expect(result["origin"] in ORIGINS, f"origin must be one of {', '.join(ORIGINS)}")
    expect(bool(result["figures"]), "it has no figures")
    for path, value in _leaves(result["figures"]):
        where = "/".join(path)
        good = value is None or (type(value) in (int, float) and math.isfinite(value))
        expect(good, f"the figure {where} is no finite number, but {value!r}")
        expect(not any(set(key) & set("/:{}|") or not key for key in path), f"bad key in {where}")


def machine() -> dict[str, Any]:
    """Cores of this process, model of the CPU, memory, accelerator and version of JAX."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    accelerator = None
    if "jax" in sys.modules:
        device = sys.modules["jax"].devices()[0]
        accelerator = None if device.platform == "cpu" else device.device_kind
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model.group(1).strip() if model else None,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "accelerator": accelerator,
        "jax": importlib.metadata.version("jax"),
    }


def this_command() -> str:
    """The command of this process, with the last part of absolute paths alone."""
    path = Path(sys.argv[0]).resolve()
    inside = path.is_relative_to(ROOT) and path.suffix == ".py"
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts) if inside else path.name
    return shlex.join(["python", "-m", module, *map(without_folders, sys.argv[1:])])


def without_folders(text: str) -> str:
    """A text with the last part of absolute paths alone: where a machine keeps them is its own."""
    return re.sub(r"(^|[=:@,\s])/[^\s:@,]*/(?=[^/\s])", r"\1", text)


def _commit() -> dict[str, Any]:
    """Hash of the checkout, and whether it had changes; None where there is no git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", ":!results")
        return {"commit": git("rev-parse", "--short=10", "HEAD"), "uncommitted": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "uncommitted": None}


def _plain(value: Any) -> Any:
    """Mappings with text keys; NumPy scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value.item() if hasattr(value, "item") else value


def _leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    return [(path, value)]
