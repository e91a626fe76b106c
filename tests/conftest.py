"""Set before JAX starts: eight devices on any machine, and one store of compiled programs."""

from __future__ import annotations

import os
import pathlib
import sys

import hypothesis
import jax
import numpy as np
import pytest
from absl.testing import flagsaver
from video_folder import folder  # noqa: F401 (a fixture of many)

# A busy machine is slow; how long an example takes is no property of the code.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

jax.config.update("jax_num_cpu_devices", 8)
# Most of a run is compiling. Tests and the programs they start (these read the environment) compile
# much that is alike: it is compiled once, hardly optimised, and stored, also for the next run.
_COMPILING = {
    "jax_compilation_cache_dir": str(pathlib.Path(__file__).parents[1] / ".pytest_cache/compiled"),
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    "jax_disable_most_optimizations": True,
}
for _name, _value in _COMPILING.items():
    _given = os.environ.setdefault(_name.upper(), str(_value))
    jax.config.update(_name, _given == "True" if _value is True else type(_value)(_given))
# What XLA's older emitters write compiles in less than half the time; also in the programs that are
# started. JAX 0.11 no longer knows the first flag, and ends at it.
if jax.__version_info__ < (0, 11) and "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = (
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    )
# Accelerators round products by default; what the tests compare with is exact.
jax.config.update("jax_default_matmul_precision", "highest")


_FAST = ("config", "data", "evaluation", "files", "ops", "reporting", "runs", "simulation")
_SECONDS = (  # in these folders: a browser, gradients that are compiled, damage to every file
    *("data/tfds/test_tfds_builder.py", "files/test_digests.py", "ops/test_convolution.py"),
    *("ops/test_lookup.py", "reporting/test_player.py", "reporting/test_report_page.py"),
    "runs/test_checkpoints.py",
)


def pytest_collection_modifyitems(items):
    """Tests of the folders above are ``fast``, but for some: ``pytest -m fast`` ends in a minute.

    Whole commands go first: a file of them that began last would leave the other workers idle.
    """
    commands = {item.path for item in items if item.get_closest_marker("commands")}
    items.sort(key=lambda item: item.path not in commands)
    here = pathlib.Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        if place.parts[0] in _FAST and place.as_posix() not in _SECONDS:
            item.add_marker("fast")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def wrp(monkeypatch):
    """``wrp(command, flag, …)``: the exit code of a command in this process; its flags go again."""
    from wrp_jax.cli.main import main  # not above: what is imported there is not type-checked

    def call(*words):
        with flagsaver.flagsaver(), monkeypatch.context() as patch:
            patch.setattr(sys, "argv", sys.argv)
            return main([str(word) for word in words])

    return call


@pytest.fixture
def x64():
    """Double precision inside one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def compiled_for_users():
    """All optimisations: for what is compared with the published networks' outputs."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Real video beside the repository; a test that needs it is skipped elsewhere."""
    root = pathlib.Path(__file__).parents[1] / ".." / "shared" / "data"
    if not root.is_dir():
        pytest.skip("no shared/data beside the repository")
    return root
