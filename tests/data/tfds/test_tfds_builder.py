"""The TFDS data set gives back what was rendered, bit for bit, without TensorFlow."""

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from wrp_jax.data.open_source import open_source
from wrp_jax.data.synthetic.clip import render_clip
from wrp_jax.data.synthetic.config import CLASSES, SyntheticConfig
from wrp_jax.data.tfds.synthetic import SyntheticStreets, SyntheticStreetsConfig

OPTIONS = SyntheticConfig(height=17, width=31, frames=34)
MOTION = ("flow_backward", "flow_forward", "visible_backward", "visible_forward")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    config = SyntheticStreetsConfig(name="tiny", options=OPTIONS, seed=4, train=1, validation=1)
    SyntheticStreets(config=config, data_dir=root).download_and_prepare()
    return root


def test_elements_hold_the_clip_and_its_motion(directory):
    # Without the builder's code, as others will read it.
    read = tfds.builder_from_directory(directory / "synthetic_streets" / "tiny" / "1.0.0")
    assert "tensorflow" not in sys.modules
    elements = list(read.as_data_source("train"))
    clip = render_clip(dataclasses.replace(OPTIONS, town=4), 4)
    assert [element["start"] for element in elements] == [0, 32]
    for element, frames in zip(elements, (slice(0, 32), slice(32, 34)), strict=True):
        assert (np.stack(element["frames"]) == clip.frames[frames]).all()
        assert (np.stack(element["labels"]["label"])[..., 0] == clip.labels[frames]).all()
        steps = slice(frames.start, frames.stop - 1)
        for name in MOTION:
            np.testing.assert_array_equal(element[name], getattr(clip, name)[steps])


def test_it_opens_as_a_source(directory):
    source = open_source(f"tfds:synthetic_streets/tiny:validation@{directory}")
    assert source.classes.names == CLASSES.names
    assert source.sequences == ("clip_001",)
    clip = render_clip(dataclasses.replace(OPTIONS, town=4), 5)
    names = source.frame_names("clip_001")
    assert source.label_names("clip_001") == frozenset(names)
    assert (source.frame("clip_001", names[33]) == clip.frames[33]).all()
    assert (source.label("clip_001", names[33]) == clip.labels[33]).all()
