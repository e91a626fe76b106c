"""What ``--config`` may be: a path, a name of a packaged config, each with a variant."""

import pathlib

import pytest

from wrp_jax.cli import config_files
from wrp_jax.cli.config_files import config_file, config_folder, config_names
from wrp_jax.types import UserError

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


def test_names_are_those_of_the_folder():
    assert config_folder() == CONFIGS
    assert config_names() == sorted(p.stem for p in CONFIGS.glob("*.py") if p.stem != "__init__")
    assert "demo" in config_names()


@pytest.mark.parametrize("given", ["demo", "demo.py", "configs/demo", "configs/demo.py"])
@pytest.mark.parametrize("variant", ["", ":small", ":a:b"])
def test_a_packaged_config_is_found_anywhere(given, variant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_file(given + variant) == f"{CONFIGS / 'demo.py'}{variant}"


def test_a_file_wins_over_a_packaged_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    for name in ("configs/demo.py", "mine.py"):
        (tmp_path / name).write_text("")
        for given in (name, f"{tmp_path / name}", f"{name}:variant"):
            assert config_file(given) == given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("dmeo", r"^--config=dmeo does not exist: did you mean --config=demo\?$"),
        ("configs/demoo.py:x", r"^--config=configs/demoo.py:x does not .* --config=demo\?$"),
        ("/nowhere/x9.py", r"^--config=/nowhere/x9.py does not exist: give a .* demo, folder,"),
        ("../configs/demo.py", "does not exist"),
        ("__init__", "does not exist"),
        ("", r"^--config= does not exist"),
    ],
)
def test_what_does_not_exist(given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        config_file(given)


def test_an_installed_package_brings_its_own(tmp_path, monkeypatch):
    package = tmp_path / "wrp_jax"
    (package / "configs").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "other.py").write_text("")
    (package / "configs" / "demo.py").write_text("")
    monkeypatch.setattr(config_files, "_PACKAGE", package)
    assert config_names() == ["demo"]


VARIANTS = """
from wrp_jax.config import Config
def get_config(name="plain"):
    return Config(data=name)
"""


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("flag", ["--config={}", "--config {}", "-config={}", "--flagfile={}"])
def test_variants_and_both_forms_of_the_flag(wrp, tmp_path, monkeypatch, capsys, flag):
    (tmp_path / "varied.py").write_text(VARIANTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_files, "config_folder", lambda: tmp_path)
    (tmp_path / "flags.txt").write_text("--config=varied:tfds:nothing\n")
    value = "flags.txt" if "flagfile" in flag else "varied:tfds:nothing"
    words = flag.format(value).split()
    assert wrp("propagate", *words, "--method=static", "--output=out") == 2
    assert "tfds:nothing" in capsys.readouterr().err
