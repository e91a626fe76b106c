"""A workdir says by itself what it was trained with."""

import dataclasses
import json

import pytest

from wrp_jax.config import Config
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.runs.results import save_result
from wrp_jax.runs.stored_config import config_from_json, read_run
from wrp_jax.runs.workdir import prepare_workdir
from wrp_jax.types import UserError


@pytest.fixture
def run(folder, tmp_path):
    """A workdir whose options are not the defaults, tuples among them."""
    config = Config(seed=3, stages=("motion", "segmentation"), workers=2)
    config.propagation.tau, config.refiner.width = 0.25, 9
    config.motion_training.sampling.mix = ("a", "b")
    source = open_folder(folder)
    known = KnownLabels(source, windows_of_keyframes(source, None, 2))
    prepare_workdir(tmp_path / "run", config, known)
    save_result(tmp_path / "run", "motion", {"w": 0}, {})
    return tmp_path / "run", config, source.classes


def test_options_and_classes_come_back(run):
    workdir, config, classes = run
    read, read_classes = read_run(workdir)
    assert read_classes.ids == classes.ids and read_classes.names == classes.names
    assert read.stages == ("motion",)  # what is trained counts, not what was listed
    expected = dataclasses.replace(config, stages=("motion",), workers=0)
    assert read == expected  # tuples are tuples again


def test_every_default_survives_json():
    values = json.loads(json.dumps(dataclasses.asdict(Config())))
    assert config_from_json(Config, values, "here") == Config()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda w: (w / "config.json").unlink(), r"run is not what .*config\.json is missing"),
        (lambda w: (w / "config.json").write_text("{"), r"config\.json cannot be read"),
        (lambda w: (w / "config.json").write_text('{"sed": 1}'), "has an option sed"),
        (lambda w: (w / "config.json").write_text('{"refiner": {"x": 1}}'), "has an option x"),
        (lambda w: (w / "classes.json").unlink(), r"classes\.json is missing"),
    ],
)
def test_what_cannot_be_read_is_named(run, damage, says):
    damage(run[0])
    with pytest.raises(UserError, match=says):
        read_run(run[0])


def test_options_of_an_earlier_version_are_found_in_their_new_places(run):
    (run[0] / "config.json").write_text('{"segmentation": {"width": 16, "crop": [32, 48]}}')
    segmentation = read_run(run[0])[0].segmentation
    assert segmentation.network.width == 16 and segmentation.sampling.crop == (32, 48)
    (run[0] / "config.json").write_text('{"propagation": {"mask": "x"}}')
    with pytest.raises(UserError, match="mask is"):
        read_run(run[0])


def test_a_config_of_ones_own_passes_the_stored_one_over(run):
    (run[0] / "config.json").write_text('{"of an earlier version": 1}')
    assert read_run(run[0], needs_config=False)[1].ids == run[2].ids


def test_the_workdir_inside_an_output_is_pointed_at(run):
    workdir = run[0]
    (workdir.parent / "training").mkdir()
    (workdir / "config.json").rename(workdir.parent / "training" / "config.json")
    with pytest.raises(UserError, match="training is one"):
        read_run(workdir.parent)
