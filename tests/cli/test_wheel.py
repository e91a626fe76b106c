"""What is installed outside of a checkout is all there is of the package."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("setuptools", minversion="77")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: building leaves its marks in the folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("wrp_jax", "configs", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(out)], check=True, cwd=source, capture_output=True
    )
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        yield archive


def files_below(folder, where):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {f"{where}/{p.relative_to(folder)}" for p in paths if "__pycache__" not in p.parts}


def test_it_holds_every_file_of_the_package_and_the_configs(wheel):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = files_below(ROOT / "wrp_jax", "wrp_jax")
    assert held == expected | files_below(ROOT / "configs", "wrp_jax/configs")
    for name in ("assets/refined_dis.safetensors", "reporting/web/player.js", "py.typed"):
        assert f"wrp_jax/{name}" in held
    assert "wrp_jax/configs/demo.py" in held


def test_it_brings_the_command(wheel):
    scripts = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(scripts).decode().split() == [
        "[console_scripts]", "wrp", "=", "wrp_jax.cli.main:main",
    ]  # fmt: skip
