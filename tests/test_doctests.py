"""Examples in docstrings are run, in every module that has one."""

import doctest
import importlib
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "wrp_jax"
MODULES = sorted(
    ".".join(("wrp_jax", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text() and path.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    failed, _ = doctest.testmod(importlib.import_module(module))
    assert not failed


def test_examples_are_found():
    assert {"wrp_jax.api.model", "wrp_jax.api.results", "wrp_jax.data.class_map"} <= set(MODULES)
