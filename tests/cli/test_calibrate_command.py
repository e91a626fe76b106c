import json
from xml.etree import ElementTree

import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.cli.calibrate import calibration, reliability_page, score_segmentation
from wrp_jax.config import Config, SegmentationConfig
from wrp_jax.models.network import Network
from wrp_jax.training.segmentation import stage
from wrp_jax.types import ClassMap, SegmentationOutput, UserError

CLASSES = ClassMap((0, 1, 2), ("a", "<b>", "v"), np.zeros((3, 3), np.uint8), (False, False, True))
LOGITS = np.array([1.0, 3.0, -20.0], np.float32)


class Labelled:
    name, classes, sequences = "labelled", CLASSES, ("s",)

    def frame_names(self, sequence):
        return ("0",)

    label_names = frame_names

    def frame(self, sequence, name):
        return np.zeros((4, 6, 3), np.uint8)

    def label(self, sequence, name):
        label = np.ones((4, 6), np.int32)
        label[:, :3], label[0] = 0, 2
        return label


def segment(clip, positions):
    probs = np.exp(LOGITS / 2.0) / np.exp(LOGITS / 2.0).sum()
    return np.broadcast_to(probs, (len(positions), *clip.frame(0).shape[:2], 3)), np.zeros(
        (1, 1, 1, 1)
    )


def test_scores_with_the_temperature_and_without():
    scores = score_segmentation(segment, Labelled(), [("s", "0")], temperature=2.0)
    assert scores["miou"] == pytest.approx(25.0)  # a is never found, b everywhere
    assert scores["iou"] == {"a": 0.0, "<b>": pytest.approx(50.0), "v": None}
    plain = 1.0 / (1.0 + np.exp(-2.0))
    assert scores["uncalibrated"]["expected_error"] == pytest.approx(plain - 0.5, abs=1e-5)
    warm = 1.0 / (1.0 + np.exp(-1.0))
    assert scores["calibrated"]["expected_error"] == pytest.approx(warm - 0.5, abs=1e-4)
    kept = scores["uncalibrated"]["thresholds"]
    assert kept["0.8"] == {"share": 1.0, "accuracy": 0.5} and kept["0.9"]["share"] == 0.0


def test_the_page_shows_names_as_text():
    page = reliability_page(score_segmentation(segment, Labelled(), [("s", "0")], 2.0))
    assert "&lt;b&gt;" in page and "<b>" not in page and "<polyline" in page


def test_published_weights_need_no_workdir(tmp_path, monkeypatch):
    data, frames = "synthetic:clips=1,frames=2,height=32,width=40", tmp_path / "frames.txt"
    frames.write_text("clip_000 000001\n")
    with pytest.raises(UserError, match=r"--workdir is missing: .*segmentation\.weights=FILE"):
        calibration(Config(), data, str(frames), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()

    def published(options, classes):
        assert options.weights == "W.pth"

        def apply(variables, images, train=False, rngs=None):
            logits = jnp.zeros((*images.shape[:3], classes.num_classes)).at[..., 1].set(2.0)
            return SegmentationOutput(logits, images)

        return Network(lambda *_: {}, apply), {}

    monkeypatch.setattr(stage, "published_segmentation", published)
    config = Config(segmentation=SegmentationConfig(name="hrnet_ocr", weights="W.pth"))
    scores = calibration(config, data, str(frames), None, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "reliability.json").read_text()) == scores
    drawing = ElementTree.parse(tmp_path / "out" / "reliability.svg").getroot()
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(drawing.findall(".//{*}circle")) == 2  # one confidence, with and without T
    said = [value for value in scores["iou"].values() if value]
    assert len(said) <= 1 and scores["temperature"] == 1.0
