"""Predictions from files through ``propagate.py``: no workdir, one set for every threshold."""

import numpy as np
import pytest
from PIL import Image

from wrp_jax.checkpoint import save_result
from wrp_jax.data.source import open_source
from wrp_jax.data.writers import LabelWriter
from wrp_jax.labelling.command import propagate
from wrp_jax.labelling.plan import Request
from wrp_jax.labelling.predict import predict, write_predictions
from wrp_jax.training.segmentation import stage
from wrp_jax.types import UserError


@pytest.fixture
def video(make_folder, tmp_path, config):
    """A folder of five frames, the third labelled, and predictions: car at 0.8, road at 0.95."""
    root = make_folder({"a": 5}, labelled=lambda sequence, t: True)
    (tmp_path / "keys.txt").write_text("a 002\n")
    source = open_source(str(root))

    def segment(frames):
        label = np.stack([source.label("a", name) for name in segment.names])
        segment.names = ()
        probs = np.full((*label.shape, 3), 0.02, np.float32)
        np.put_along_axis(probs, label[..., None], 0.96, -1)
        probs[label == 1] = (0.1, 0.8, 0.1)
        return probs, np.zeros((len(frames), 3, 4, 2), np.float32)

    segment.names = source.frame_names("a")
    predictions = tmp_path / "predictions"
    assert write_predictions(segment, source, predictions, "png") == 5
    assert write_predictions(segment, source, predictions, "png") == 0  # all there
    config.segmentation.name, config.segmentation.folder = "precomputed", str(predictions)

    def run(output, method, **options):
        keys = str(tmp_path / "keys.txt")
        request = Request(str(root), tmp_path / output, method, keyframes=keys)
        for key, value in options.items():
            setattr(config.propagation, key, value)
        metrics = propagate(config, request, workdir=None)
        label = tmp_path / output / "a" / "labels" / "000.png"
        return metrics, np.array(Image.open(label))

    run.source, run.predictions, run.config = source, predictions, config
    return run


def test_one_set_of_files_serves_many_thresholds(video):
    truth = video.source.label("a", "000")
    ids = np.array([0, 7, 9])[truth]
    _, kept = video("sure", "semantic-only", semantic_confidence=0.9)
    np.testing.assert_array_equal(kept, np.where(truth == 1, 9, ids))  # 0.8 is not enough
    metrics, kept = video("less", "semantic-only", semantic_confidence=0.7)
    np.testing.assert_array_equal(kept, ids)
    assert metrics["methods"]["semantic-only"]["mean"] == pytest.approx(100.0)
    _, kept = video("all", "semantic-argmax")
    np.testing.assert_array_equal(kept, ids)


def test_files_are_checked_before_anything_is_written(video, tmp_path):
    path = LabelWriter(video.predictions, video.source.classes).label_path("a", "004")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"004\.png is not a picture"):
        video("out", "semantic-only")
    path.unlink()
    with pytest.raises(UserError, match=r"no prediction .*004\.png"):
        video("out", "semantic-only")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="--workdir is missing: warp-refine"):
        video("out", "warp-refine")
    video.config.segmentation.folder = ""
    with pytest.raises(UserError, match=r"segmentation\.folder=DIR"):
        video("out", "semantic-only")


def test_frames_are_checked_before_anything_is_written(video, tmp_path, monkeypatch):
    name, variables = "segmentation", {"params": {"w": np.ones(2, np.float32)}}
    monkeypatch.setattr(stage, "load_segmentation", lambda *_: (None, variables))
    save_result(tmp_path / "RUN", name, variables, {})
    frame = next((tmp_path / video.source.name / "a" / "frames").glob("004.*"))
    frame.write_bytes(frame.read_bytes()[:100])
    with pytest.raises(UserError, match=r"004\.png is damaged or cut off"):
        predict(video.config, video.source.name, tmp_path / "RUN", tmp_path / "out", "png")
    assert not (tmp_path / "out").exists()
