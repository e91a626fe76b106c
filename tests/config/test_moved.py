"""Options that have moved: trees of runs that an earlier version has trained."""

import copy
import dataclasses
import functools
import json
import pathlib
import shlex
import typing

import hypothesis
import pytest
from absl import flags
from hypothesis import strategies as st
from ml_collections import config_flags

from wrp_jax.cli.command_line import expand_home
from wrp_jax.config import Config, option, translated
from wrp_jax.config.moved import MOVED
from wrp_jax.runs.compatibility import check_metadata, check_network
from wrp_jax.types import UserError

ROOT = pathlib.Path(__file__).parents[2]
OLD = {
    "seed": 0,
    "segmentation": {
        "name": "light", "width": 16, "flip": True, "crop": [96, 128], "steps": 700,
        "optimizer": "muon", "learn_void": False, "average_scales": [],
    },
    "refiner": {"name": "chooser", "clips": 16},
    "motion_training": {"from_shipped": False, "steps": 4000, "scale": [-0.2, 0.5]},
}  # fmt: skip
"""As version 0.1 wrote it into ``config.json``, in extracts."""


@pytest.fixture
def same():
    config = Config()
    config.refiner.clips = 16
    config.segmentation.name = "light"
    config.segmentation.network.width = 16
    config.segmentation.sampling.crop = (96, 128)
    config.segmentation.optimiser.steps = 700
    return config


def tree(config):
    return json.loads(json.dumps(dataclasses.asdict(config)))


def test_every_option_that_moved_has_a_place_now():
    keys = {
        f"{kind.path}.{field.name}".removeprefix("config.") for kind, field in option.leaves(Config)
    }
    assert set(MOVED.values()) <= keys
    assert not set(MOVED) & keys


def test_an_old_tree_is_brought_into_the_present_places(same):
    before = copy.deepcopy(OLD)
    new = translated(OLD)
    assert before == OLD
    assert new["segmentation"] == {
        "name": "light",
        "network": {"width": 16, "learn_void": False},
        "inference": {"flip": True, "average_scales": []},
        "sampling": {"crop": [96, 128]},
        "optimiser": {"steps": 700, "name": "muon"},
    }
    assert new["motion_training"] == {
        "from_shipped": False, "sampling": {"scale": [-0.2, 0.5]}, "optimiser": {"steps": 4000},
    }  # fmt: skip
    assert translated(new) == new
    assert translated(tree(same)) == tree(same)


def test_a_run_trained_before_fits_the_same_options(same):
    check_metadata("RUN", {"config": OLD}, {"config": tree(same)})
    check_network("RUN", {"config": OLD}, same, ("segmentation.name", "segmentation.network.width"))


@pytest.mark.parametrize(
    "key", ["segmentation.steps", "segmentation.flip", "motion_training.steps"]
)
def test_what_differs_from_a_run_trained_before_is_named(same, key):
    old, new_key = copy.deepcopy(OLD), MOVED[key]
    group, name = key.split(".")
    old[group][name] = "other"
    with pytest.raises(UserError, match=rf"{new_key} was other, is"):
        check_metadata("RUN", {"config": old}, {"config": tree(same)})


def test_another_network_trained_before_is_named(same):
    same.segmentation.network.width = 24
    with pytest.raises(UserError, match=r"segmentation\.network\.width was 16, is 24"):
        check_network("RUN", {"config": OLD}, same, ["segmentation.network.width"])


def test_the_flags_that_a_run_trained_with_other_defaults_needs_are_named(same):
    same.segmentation.name, same.segmentation.sampling.crop = "efficient", (64, 64)
    flags = "--config.segmentation.name=light"
    with pytest.raises(UserError, match=rf"\({flags}\), or train in another --workdir"):
        check_network("RUN", {"config": OLD}, same, ["segmentation.name"])
    with pytest.raises(UserError) as error:
        check_metadata("RUN", {"config": OLD}, {"config": tree(same)})
    assert f"({flags} '--config.segmentation.sampling.crop=(96, 128)')" in str(error.value)


def _values(kind):
    """Values of an option of this type; ``~`` is a home folder at the command line."""
    if typing.get_origin(kind) is tuple:
        inside = typing.get_args(kind)
        if inside[1:] == (...,):
            return st.lists(_values(inside[0]), max_size=3).map(tuple)
        return st.tuples(*map(_values, inside))
    text = st.text(st.characters(min_codepoint=32, exclude_characters="~\x7f"), max_size=9)
    return {
        bool: st.booleans(),
        int: st.integers(-(2**40), 2**40),
        float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(float),
        str: text.filter(str.isprintable) | st.sampled_from(["", " ", "None", "1", "true", "()"]),
    }[kind]


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@hypothesis.settings(max_examples=60)
@hypothesis.given(st.sets(st.sampled_from(list(option.leaves(Config))), max_size=6), st.data())
def test_the_printed_flags_bring_all_options_back(leaves, data):
    config, trained = Config(), Config()
    for kind, field in leaves:
        group = functools.reduce(getattr, kind.path.split(".")[1:], trained)
        setattr(group, field.name, data.draw(_values(field.type), label=field.name))
    if tree(trained) == tree(config):
        return
    with pytest.raises(UserError) as error:
        check_metadata("RUN", {"config": tree(trained)}, {"config": tree(config)})
    _, _, rest = str(error.value).partition("give the same --config and options (")
    given = shlex.split(rest.removesuffix("), or another --workdir."))
    argv = ["x", f"--config={ROOT / 'configs' / 'folder.py'}", *expand_home(given)]
    known = flags.FlagValues()
    holder = config_flags.DEFINE_config_file("config", None, "", flag_values=known, sys_argv=argv)
    known(argv)
    assert tree(holder.value) == tree(trained)
