"""``import wrp_jax``: a small surface, documented, imported when it is asked for."""

import dataclasses
import inspect
import pathlib
import subprocess
import sys

import pytest

import wrp_jax

ROOT = pathlib.Path(__file__).parents[1]


def test_every_name_is_there_and_documented():
    assert wrp_jax.__all__ == sorted(wrp_jax.__all__)
    for name in wrp_jax.__all__:
        thing = getattr(wrp_jax, name)
        assert thing.__module__.startswith("wrp_jax.") and inspect.getdoc(thing), name
        if inspect.isfunction(thing):
            text = inspect.getdoc(thing) or ""
            missing = [p for p in inspect.signature(thing).parameters if f"{p}:" not in text]
            assert not missing and "Raises:" in text, (name, missing)
    assert set(wrp_jax.__all__) <= set(dir(wrp_jax))
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        wrp_jax.magic  # noqa: B018


def test_type_checkers_see_the_same_names():
    tree = pathlib.Path(wrp_jax.__file__).read_text()
    seen = tree[tree.index("if TYPE_CHECKING:") : tree.index("__version__")]
    for name in wrp_jax.__all__:
        home = getattr(wrp_jax, name).__module__
        line = next(line for line in seen.splitlines() if name in line.replace(",", " ").split())
        imported = line.split()[1]
        assert home == imported or home.startswith(f"{imported}."), name
    assert (pathlib.Path(wrp_jax.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(
    "code",
    [
        "import wrp_jax",
        "from wrp_jax import ArraySource, ClassMap, Config, UserError, class_map, open_source",
        "from wrp_jax import *; open_source('synthetic:clips=1')"
        if False
        else "import wrp_jax.data",
    ],
)
def test_workers_and_readers_do_not_start_jax(code):
    check = f"{code}; import sys; assert not {{'jax', 'flax', 'tensorflow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_configs_are_plain_dataclasses():
    assert dataclasses.is_dataclass(wrp_jax.Config) and wrp_jax.Config() == wrp_jax.Config()
