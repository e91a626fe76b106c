"""The import table of docs/ARCHITECTURE.md: data runs one way through the packages."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "wrp_jax"
BASE = {"types", "config"}

MAY_IMPORT = {
    "types": set(),
    "config": set(),
    "ops": BASE,
    "models": BASE | {"ops"},
    "weights": BASE | {"models"},
    "flow": BASE | {"ops", "models", "weights", "data", "sharding", "command_line"},
    "propagation": BASE | {"ops", "models"},
    "data": BASE,
    "evaluation": BASE | {"ops"},
    "sharding": BASE | {"data"},
    "checkpoint": BASE | {"data"},
    "logging": BASE | {"data"},
    "command_line": BASE,
}
EVERYTHING = {"training", "reporting", "labelling"}
NO_JAX = ("data",)  # read by worker processes, which start before the backend


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


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_package_imports_only_what_lies_to_its_left(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    home = parts[0]
    if home == "__init__" or home in EVERYTHING:
        return
    assert home in MAY_IMPORT, f"{home} is not in the table"
    used = {name.split(".")[1] for name in _imports(path) if name.startswith("wrp_jax.")}
    assert used - {home, "__version__"} <= MAY_IMPORT[home]


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_tensorflow_torch_or_catch_all_module(path):
    roots = {name.split(".")[0] for name in _imports(path)}
    assert not roots & {"tensorflow", "torch", "pickle"}
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}
    if path.relative_to(PACKAGE).parts[0] in NO_JAX:
        top = {name.split(".")[0] for name in _imports(path, top_level_only=True)}
        assert not top & {"jax", "flax", "optax"}


def test_data_and_its_types_leave_jax_out():
    """Grain imports jax by itself, but starts no backend: ``pipeline`` alone needs Grain."""
    modules = ["wrp_jax.types"] + [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in _modules()
        if path.relative_to(PACKAGE).parts[0] == "data"
        and path.stem not in ("__init__", "pipeline")
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
    """Within ``data``, what copies and checks whole sets reads them too."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in _modules()
        if any(map(_asks_a_source, ast.walk(ast.parse(path.read_text()))))
    }
    assert found == {
        "data/clips.py", "data/known_labels.py", "data/source.py", "evaluation/truth.py",
    }  # fmt: skip
