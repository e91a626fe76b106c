"""Options that have moved: trees of runs that an earlier version has trained."""

import copy
import dataclasses
import json

import pytest

from wrp_jax.config import Config, option, translated
from wrp_jax.config.moved import MOVED
from wrp_jax.runs.compatibility import check_metadata, check_network
from wrp_jax.types import UserError

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
