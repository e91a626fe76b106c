"""The TFDS data set gives back what was rendered, bit for bit, without TensorFlow."""

import sys

import numpy as np
import tensorflow_datasets as tfds

from wrp_jax.data.synthetic import CLASSES, SyntheticConfig, render_clip
from wrp_jax.data.synthetic.tfds_builder import SyntheticStreets, SyntheticStreetsConfig


def test_round_trip(tmp_path):
    options = SyntheticConfig(height=17, width=31, frames=3)
    config = SyntheticStreetsConfig(name="tiny", options=options, seed=4, train=2, validation=1)
    builder = SyntheticStreets(config=config, data_dir=tmp_path)
    builder.download_and_prepare()
    # Without the builder's code, as others will read it.
    read = tfds.builder_from_directory(builder.data_dir)
    assert "tensorflow" not in sys.modules
    assert read.info.features["labels"].feature["label"].names == list(CLASSES.names)
    assert read.info.metadata["clips"]["validation"][0]["sequence"] == "clip_002"
    train, validation = (read.as_data_source(split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (2, 1)
    town = SyntheticConfig(height=17, width=31, frames=3, town=4)
    for element, seed in ((train[1], 5), (validation[0], 6)):
        clip = render_clip(town, seed)
        assert [name.decode() for name in element["frame_names"]] == ["000000", "000001", "000002"]
        assert (np.stack(element["frames"]) == clip.frames).all()
        labels = np.stack(element["labels"]["label"])[..., 0]
        assert (labels == clip.labels).all()
        for key in ("flow_backward", "flow_forward", "visible_backward", "visible_forward"):
            np.testing.assert_array_equal(element[key], getattr(clip, key))
