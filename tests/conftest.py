"""Set before JAX starts: eight devices on any machine, for the tests of sharding."""

from __future__ import annotations

import pathlib

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 8)
# Accelerators round products by default; what the tests compare with is exact.
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def x64():
    """Double precision inside one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Real video beside the repository; a test that needs it is skipped elsewhere."""
    root = pathlib.Path(__file__).parents[1] / ".." / "shared" / "data"
    if not root.is_dir():
        pytest.skip("no shared/data beside the repository")
    return root
