import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from wrp_jax.cli.command_line import run
def main():
    assert "jax" not in sys.modules
    import jax
    print(jax.config.jax_compilation_cache_dir)
    jax.jit(lambda x: x + 1)(1.0)
sys.argv = ["program"]
sys.exit(run(main, "What it does."))
"""


def kept(home, **environment):
    """Where a command keeps its programs, and what it has kept."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XDG_CACHE"))}
    mine |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PLATFORMS": "cpu"}
    said = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True,
        env={**mine, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
    ).stdout.strip()  # fmt: skip
    return said, [path for path in home.rglob("*-cache")]


def test_a_command_keeps_its_programs_in_the_users_cache(tmp_path):
    folder, files = kept(tmp_path)
    assert Path(folder).parent == tmp_path / ".cache/wrp_jax"
    assert files and all(file.parent == Path(folder) for file in files)


@pytest.mark.parametrize("how", ["another folder", "off"])
def test_the_environment_says_where_or_that_nothing_is_kept(tmp_path, how):
    if how == "off":
        assert not kept(tmp_path, JAX_ENABLE_COMPILATION_CACHE="false")[1]
    else:
        other = tmp_path / "other"
        folder, files = kept(tmp_path, JAX_COMPILATION_CACHE_DIR=str(other))
        assert folder == str(other) and files and {file.parent for file in files} == {other}
