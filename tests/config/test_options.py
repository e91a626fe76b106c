"""The tree of options: bounds and help beside each field, the page written from them."""

import copy
import dataclasses
import pathlib
import re
import typing

import hypothesis
import pytest
from hypothesis import strategies as st

from wrp_jax.config import (
    Config,
    RefinerConfig,
    SegmentationConfig,
    SegmentationOptimiser,
    check,
    check_key,
    option,
    reference,
)
from wrp_jax.models.network import ARITHMETIC
from wrp_jax.models.segmentation.build import REGISTRY
from wrp_jax.motion.build import NETWORKS
from wrp_jax.types import UserError

ROOT = pathlib.Path(__file__).parents[2]
LEAVES = [(kind, field) for kind, field in option.leaves(Config)]
IDS = [f"{kind.path}.{field.name}" for kind, field in LEAVES]


def at(config, path):
    for part in path.split(".")[1:]:
        config = getattr(config, part)
    return config


def test_the_defaults_are_within_their_bounds():
    check(Config())


@pytest.mark.parametrize(("kind", "field"), LEAVES, ids=IDS)
def test_every_option_is_described(kind, field):
    described = option.described(field)
    assert described.help.endswith((".", ".)")) and "|" not in described.help
    assert isinstance(field.type, type) or typing.get_origin(field.type) is tuple  # no strings
    assert dataclasses.is_dataclass(at(Config(), kind.path))


@pytest.mark.parametrize(("kind", "field"), LEAVES, ids=IDS)
def test_every_option_is_read_outside_of_the_config(kind, field):
    del kind
    texts = [
        path.read_text()
        for path in (ROOT / "wrp_jax").rglob("*.py")
        if path.parent.name != "config"
    ]
    read = re.compile(rf"\.{field.name}\b|getattr\([^)]*\b{field.name}\b")
    asked = {"unrolled", "learn_tau"}  # by a loop over their names
    assert any(map(read.search, texts)) or field.name in asked


def test_the_page_of_options_is_up_to_date():
    page = (ROOT / "docs" / "OPTIONS.md").read_text(encoding="utf-8")
    assert page == reference.reference(), (
        "write it anew: python -m wrp_jax.config.reference > docs/OPTIONS.md"
    )
    for kind, field in LEAVES:
        section = page.split(f"## {kind.path}\n")[1].split("\n## ")[0]
        assert f"| `{field.name}` | `" in section


def test_choices_are_what_there_is():
    def choices(path):
        kind, _, name = path.rpartition(".")
        (field,) = (f for k, f in LEAVES if k.path == kind and f.name == name)
        return set(option.described(field).choices)

    assert choices("config.segmentation.name") == {*REGISTRY, "precomputed"}
    assert choices("config.segmentation.network.dtype") == set(ARITHMETIC)
    assert choices("config.motion.dtype") == set(ARITHMETIC)
    assert choices("config.motion.name") == {"dis", "zero", "precomputed", *NETWORKS}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("config.segmentation.optimiser.steps", 3.0, "must be of type int"),
        ("config.segmentation.optimiser.loss", "focal", "use one of weighted, rmi"),
        ("config.segmentation.inference.frames_per_device", 5, "from 0 to 4"),
        ("config.segmentation.sampling.scale", (1.2, 1.0), "the smaller number first"),
        ("config.motion_training.sampling.scale", (-9.0, float("inf")), "must be finite"),
        ("config.refiner.doubt.inpainted", 1.5, "from 0 to 1"),
        ("config.refiner", 3, "must be of type"),
        ("config.seed", -1, "from 0 to"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(path, value, message):
    config = Config()
    parent, _, name = path.rpartition(".")
    setattr(at(config, parent), name, value)
    with pytest.raises(UserError, match=rf"^{re.escape(path)} is .*{message}[^\n]*\.$"):
        check(config)
    with pytest.raises(UserError, match=rf"^--{re.escape(path)} is "):
        check(config, "--config")


@hypothesis.given(st.sampled_from(LEAVES), st.floats(-10, 10) | st.integers(-10, 10))
def test_bounds_hold_for_every_number(leaf, number):
    kind, field = leaf
    if field.type not in (int, float) or (field.type is int and isinstance(number, float)):
        return
    config, bounds = Config(), option.described(field)
    setattr(at(config, kind.path), field.name, number)
    inside = bounds.least <= number <= bounds.most and bounds.above < number < bounds.below
    if inside:
        check(config)
    else:
        with pytest.raises(UserError, match=field.name):
            check(config)


def test_a_name_that_does_not_exist_is_refused_where_it_is_set():
    config = Config()
    with pytest.raises(UserError, match=r"did you mean config\.segmentation\.optimiser\.steps\?"):
        config.segmentation.stps = 3
    with pytest.raises(UserError, match=r"config\.refiner has no option 'crop'.*refiner\.crops"):
        RefinerConfig(crop=3)
    with pytest.raises(AttributeError, match=r"config\.seed has no|config has no option 'sed'"):
        _ = config.sed


def test_an_old_name_is_refused_with_the_new_one():
    new = r"^config\.segmentation\.steps is now config\.segmentation\.optimiser\.steps\.$"
    config = Config()
    with pytest.raises(UserError, match=new):
        config.segmentation.steps = 3
    with pytest.raises(UserError, match=new):
        SegmentationConfig(steps=3)
    with pytest.raises(AttributeError, match=new):
        _ = config.segmentation.steps
    with pytest.raises(UserError, match=new.replace("config", "--config").replace("^--", "^--")):
        check_key("config.segmentation.steps")
    assert not hasattr(config.segmentation, "steps")


def test_a_tree_is_copied_and_compared():
    config = Config(segmentation=SegmentationConfig(optimiser=SegmentationOptimiser(steps=3)))
    other = copy.deepcopy(config)
    assert other == config
    other.segmentation.optimiser.steps = 4
    assert other != config and config.segmentation.optimiser.steps == 3
