import json
from xml.etree import ElementTree

import jax.numpy as jnp
import pytest

from wrp_jax.cli.calibrate import calibrate
from wrp_jax.config import Config, SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.runs import segmentation
from wrp_jax.types import SegmentationOutput, UserError


def test_published_weights_need_no_workdir(tmp_path, monkeypatch):
    data, frames = "synthetic:clips=1,frames=2,height=32,width=40", tmp_path / "frames.txt"
    frames.write_text("clip_000 000001\n")
    with pytest.raises(UserError, match=r"--workdir is missing: .*segmentation\.weights=FILE"):
        calibrate(Config(), data, str(frames), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()

    def published(options, classes):
        assert options.weights == "W.pth"

        def apply(variables, images, train=False, rngs=None):
            logits = jnp.zeros((*images.shape[:3], classes.num_classes)).at[..., 1].set(2.0)
            return SegmentationOutput(logits, images)

        return Network(lambda *_: {}, apply), {}

    monkeypatch.setattr(segmentation, "published_segmentation", published)
    config = Config(segmentation=SegmentationConfig(name="hrnet_ocr", weights="W.pth"))
    scores = calibrate(config, data, str(frames), None, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "reliability.json").read_text()) == scores
    drawing = ElementTree.parse(tmp_path / "out" / "reliability.svg").getroot()
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(drawing.findall(".//{*}circle")) == 2  # one confidence, with and without T
    said = [value for value in scores["iou"].values() if value]
    assert len(said) <= 1 and scores["temperature"] == 1.0
