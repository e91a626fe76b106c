"""The import table of docs/ARCHITECTURE.md: data runs one way through the packages."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "wrp_jax"
# From left to right, as data runs: a room may import the rooms to its left that its line names.
MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "config": {"types"},
    "machine": {"types"},
    "interrupts": {"types"},
    "processes": {"types", "interrupts"},
    "files": {"types", "machine", "interrupts"},
    "progress": set(),
    "sharding": {"types", "processes"},
    "ops": set(),
    "models": {"types", "config", "ops"},
    "weights": {"types", "config", "files", "models"},
    "data": {"types", "machine", "interrupts", "files"},
    "quality": {"types", "files"},
    "exchange": {"types", "interrupts", "files", "data", "quality"},
    "simulation": set(),
    "motion": {
        *("types", "config", "interrupts", "files", "sharding", "ops", "models", "weights", "data"),
    },
    "segmentation": {
        *("types", "config", "interrupts", "files", "sharding", "ops", "models", "weights", "data"),
    },
    "propagation": {"types", "config", "machine", "interrupts", "sharding", "ops", "models"},
    "evaluation": {"types"},
    "runs": {
        *("types", "config", "machine", "processes", "files", "sharding", "models", "data"),
        *("motion", "segmentation", "propagation"),
    },
    "training": {
        *("types", "config", "machine", "interrupts", "processes", "files", "progress", "sharding"),
        *("ops", "models", "weights", "data"),
        *("simulation", "motion", "segmentation", "propagation", "runs"),
    },
    "api": {
        *("types", "config", "processes", "files", "motion", "data", "propagation", "runs"),
        "training",
    },
    "reporting": {"types", "files"},
    "labelling": {
        *("types", "config", "interrupts", "files", "progress", "sharding", "data"),
        *("motion", "segmentation", "propagation"),
        *("evaluation", "quality", "runs", "reporting"),
    },
    "cli": {
        *("types", "config", "machine", "interrupts", "processes", "files", "progress"),
        *("data", "weights"),
        *("exchange", "motion", "segmentation", "evaluation", "quality"),
        *("runs", "training", "api", "reporting", "labelling"),
    },
    "__main__": {"cli"},
}
WITHOUT_JAX = (
    "types",
    "config",
    "machine",
    "interrupts",
    "files",
    "data",
    "exchange",
    "simulation",
    "quality",
    "reporting",
    "training.pipeline",
    "training.segmentation.transforms",
    "training.segmentation.colour_jitter",
    "training.segmentation.centroids",
    "training.motion.augment",
    "training.motion.flying",
)
"""Read by worker processes, which start before the backend, or by programs without a network."""


def _modules() -> list[pathlib.Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _imports(path: pathlib.Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _name(path: pathlib.Path) -> str:
    """``package.module``, without ``wrp_jax``; a package by its own name; the whole is ``""``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _graph() -> dict[str, set[str]]:
    """Which module imports which, anywhere in its text."""
    modules = {_name(path) for path in _modules()}
    graph = {}
    for path in _modules():
        used = {name.removeprefix("wrp_jax.") for name in _imports(path) if "wrp_jax." in name}
        graph[_name(path)] = {u if u in modules else u.rpartition(".")[0] for u in used} - {""}
    return graph


def test_rooms_import_only_what_lies_to_their_left():
    rooms = list(MAY_IMPORT)
    for room, allowed in MAY_IMPORT.items():
        assert allowed <= set(rooms[: rooms.index(room)]), f"{room} looks to its right"
    wrong = []
    for name, used in _graph().items():
        home = name.partition(".")[0]
        if not home:
            continue
        assert home in MAY_IMPORT, f"{home} is not in the table"
        rooms_used = {other.partition(".")[0] for other in used} - {home}
        wrong += [f"{name} imports {other}" for other in rooms_used - MAY_IMPORT[home]]
    assert not wrong


def test_every_line_of_the_table_is_needed():
    used: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for name, others in _graph().items():
        home = name.partition(".")[0]
        if home:
            used[home] |= {other.partition(".")[0] for other in others} - {home}
    spare = {room: allowed - used[room] for room, allowed in MAY_IMPORT.items()}
    assert not {room: rooms for room, rooms in spare.items() if rooms}


def test_inference_does_not_import_training():
    """Commands may train, and ``fit`` does; whatever labels does without."""
    trains = {
        name
        for name, used in _graph().items()
        if any(other.partition(".")[0] == "training" for other in used)
    }
    outside = {name for name in trains if name.partition(".")[0] not in ("training", "cli")}
    assert outside == {"api.fit"}


def test_no_circle_of_imports():
    """Between modules, inside of packages too; a package's ``__init__`` runs before its modules."""
    order = graphlib.TopologicalSorter(_graph())
    order.prepare()  # raises CycleError with the modules of a circle


def test_no_tensorflow_torch_or_catch_all_module():
    for path in _modules():
        roots = {name.split(".")[0] for name in _imports(path)}
        assert not roots & {"tensorflow", "torch", "pickle"}, path
        assert path.stem not in {"utils", "util", "helpers", "misc", "common"}, path
        if _name(path).startswith(WITHOUT_JAX):
            top = {name.split(".")[0] for name in _imports(path, top_level_only=True)}
            assert not top & {"jax", "flax", "optax"}, path


def test_what_worker_processes_read_leaves_jax_out():
    """Grain imports jax by itself, but starts no backend: ``pipeline`` alone needs Grain."""
    modules = [
        f"wrp_jax.{name}"
        for name in map(_name, _modules())
        if name.startswith(WITHOUT_JAX) and name != "training.pipeline"
    ]
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; "
    code += "assert not {'jax', 'tensorflow', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_flax_is_used_by_models_and_training_alone():
    for path in _modules():
        if path.relative_to(PACKAGE).parts[0] not in {"models", "training"}:
            assert "flax" not in {name.split(".")[0] for name in _imports(path)}, path


def _asks_a_source(node: ast.AST) -> bool:
    """Whether it is ``source.label(…)``, of whatever the source is part."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    asked = ast.unparse(node.func.value).rpartition(".")[-1].lstrip("_")
    return node.func.attr == "label" and asked in ("source", "original", "video")


def test_a_source_is_asked_for_labels_by_the_gate_and_for_scoring_alone():
    """What copies and checks whole sets, within ``data`` and ``exchange``, reads them too."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in _modules()
        if any(map(_asks_a_source, ast.walk(ast.parse(path.read_text()))))
    }
    assert found == {
        "data/tfds/clips.py", "data/known_labels.py", "data/source.py", "evaluation/truth.py",
        "exchange/labelled_frames.py",
    }  # fmt: skip
