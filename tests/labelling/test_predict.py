"""Predictions from files through ``propagate.py``: no workdir, one set for every threshold."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from compiled_layers import by_layer
from contents import contents
from golden_files import published_state
from PIL import Image

from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config, SegmentationConfig, SegmentationInference, SegmentationNetwork
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.files.output import claim_output
from wrp_jax.files.shards import Shard
from wrp_jax.files.verify import check_free, verify
from wrp_jax.labelling.predict import predict, write_predictions
from wrp_jax.labelling.request import Request
from wrp_jax.ops.resize import resize
from wrp_jax.runs import segmentation as segmenter
from wrp_jax.runs.results import save_result
from wrp_jax.runs.segmentation import load_segmenter
from wrp_jax.segmentation import clip
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.segmentation.predictions import Predictions
from wrp_jax.sharding import make_mesh
from wrp_jax.types import UserError, clip_of
from wrp_jax.weights.load import FORMAT
from wrp_jax.weights.published import fit_state_dict
from wrp_jax.weights.safetensors_file import write_safetensors


@pytest.fixture
def video(make_folder, tmp_path, config):
    """A folder of five frames, the third labelled, and predictions: car at 0.8, road at 0.95."""
    root = make_folder({"a": 5}, labelled=lambda sequence, t: True)
    (tmp_path / "keys.txt").write_text("a 002\n")
    source = open_source(str(root))

    def segment(clip, positions):
        label = np.stack([source.label(clip.sequence, clip.names[i]) for i in positions])
        probs = np.full((*label.shape, 3), 0.02, np.float32)
        np.put_along_axis(probs, label[..., None], 0.96, -1)
        probs[label == 1] = (0.1, 0.8, 0.1)
        return probs, np.zeros((len(label), 3, 4, 2), np.float32)

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


@pytest.mark.parametrize("kind", ["png", "npz"])
def test_predictions_of_other_frames_are_made_again(make_folder, tmp_path, caplog, kind):
    root, out = make_folder({"a": 4}), tmp_path / "out"
    seen = []

    def segment(clip, positions):
        seen.extend(clip.names[i] for i in positions)
        return np.full((len(positions), 24, 32, 3), 1 / 3, np.float32), np.zeros((4, 3, 4, 2))

    def again():
        seen.clear()
        assert write_predictions(segment, open_source(str(root)), out, kind) == len(seen)
        return seen

    assert again() == ["000", "001", "002", "003"]
    before = Predictions(out, open_source(str(root)).classes).digest()
    assert again() == []
    assert Predictions(out, open_source(str(root)).classes).digest() == before
    shutil.copy(root / "a/frames/003.png", root / "a/frames/001.png")
    assert again() == ["001"]
    path = next(out.glob("a/*/002.*"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert verify(out)[1] == [f"{path} was changed after it was written."]
    assert again() == ["002"] and verify(out)[1] == []
    assert f"{path} was changed after it was written: it is made again" in caplog.messages
    (root / "a/labels/003.png").unlink()
    (root / "a/frames/003.png").unlink()
    assert again() == [] and not list(out.glob("a/*/003.*"))
    assert verify(out)[1] == []


def test_predictions_of_another_run_are_made_again(make_folder, tmp_path):
    source, out = open_source(str(make_folder({"a": 3}))), tmp_path / "out"

    def segment(clip, positions):
        return np.full((len(positions), 24, 32, 3), 1 / 3, np.float32), np.zeros((4, 3, 4, 2))

    def written(weights):
        check_free(out, source.sequences)
        claim_output(out, {"weights": weights})
        return write_predictions(segment, source, out, "png")

    assert (written("1"), written("1")) == (3, 0)
    (out / "run.json").unlink()
    assert (written("1"), written("1")) == (0, 0)
    (out / "run.json").unlink()
    assert (written("2"), written("2")) == (3, 0)


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize("words", [("predict", "--config.segmentation.weights=W"), ("flow",)])
def test_files_of_others_are_not_overwritten(make_folder, tmp_path, wrp, capsys, words):
    root, path = make_folder({"a": 3}), tmp_path / "out/a/labels/000.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"precious")
    flags = (f"--data={root}", f"--output={tmp_path / 'out'}", "--config=folder")
    assert wrp(words[0], *flags, *words[1:]) == 2
    assert f"{path} is there already and not of an earlier run" in capsys.readouterr().err
    assert path.read_bytes() == b"precious"


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


def _saved(workdir, classes):
    """A config, and a workdir with a network of it whose weights are drawn at random."""
    config = Config(
        segmentation=SegmentationConfig(
            name="light",
            network=SegmentationNetwork(width=4, max_pixels=400),
            inference=SegmentationInference(flip=False),
        )
    )
    network = build_for_classes(config.segmentation, classes)
    images, rng = np.zeros((1, 16, 16, 3), np.float32), np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0), images)

    def draw(x):
        if len(x.shape) < 2:  # of a norm
            return rng.uniform(0.5, 1.5, x.shape).astype(np.float32)
        return (rng.normal(size=x.shape) / np.sqrt(np.prod(x.shape[:-1]))).astype(np.float32)

    variables = jax.tree.map(draw, shapes)
    metadata = {"classes": classes_to_json(classes), "config": dataclasses.asdict(config)}
    save_result(workdir, "segmentation", variables, metadata)
    return config


def test_shards_leave_what_one_process_leaves(make_folder, tmp_path, capsys):
    root, workdir = make_folder({"a": 3, "b": 5, "c": 2}), tmp_path / "RUN"
    config = _saved(workdir, open_source(str(root)).classes)

    def ask(output, index=0, count=1):
        given = (config, str(root), workdir, tmp_path / output, "png")
        return predict(*given, shard=Shard(index, count))

    assert ask("whole") == 10
    assert [ask("out", index, 4) for index in (3, 1, 0)] == [0, 3, 5]
    assert "shard 0 of 4 has ended; not finished yet: 2." in capsys.readouterr().err
    assert [ask("out", index, 2) for index in (0, 1)] == [0, 2]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert verify(tmp_path / "out") == (20, [])


def test_what_is_written_is_what_the_network_says(make_folder, tmp_path):
    root, workdir = make_folder({"a": 5}), tmp_path / "RUN"
    source = open_source(str(root))
    config = _saved(workdir, source.classes)
    names = source.frame_names("a")
    frames = np.stack([source.frame("a", name) for name in names])
    network, variables = segmenter.load_segmentation(workdir, config, source.classes)
    output = jax.jit(network.apply)(variables, frames.astype(np.float32) / 255.0)
    probs = jax.nn.softmax(resize(output.logits, (24, 32)))
    assert probs[..., 0].std() > 0.05
    for kind in ("png", "npz"):
        assert predict(config, str(root), workdir, tmp_path / kind, kind) == 5
        assert predict(config, str(root), workdir, tmp_path / kind, kind) == 0
    for i, name in enumerate(names):
        said, features = Predictions(tmp_path / "npz", source.classes).read("a", name, (24, 32))
        np.testing.assert_allclose(said, probs[i], atol=1e-5)
        np.testing.assert_allclose(features, output.features[i], rtol=1e-4, atol=1e-4)
        read, _ = Predictions(tmp_path / "png", source.classes).read("a", name, (24, 32))
        np.testing.assert_array_equal(read.argmax(-1), said.argmax(-1))
        np.testing.assert_allclose(read.max(-1), said.max(-1), atol=0.51 / 255)


@pytest.mark.parametrize(
    ("name", "value"), [("flip", True), ("average_scales", (0.5,)), ("window", (32, 32))]
)
def test_predictions_asked_for_otherwise_are_not_mixed(
    make_folder, tmp_path, monkeypatch, name, value
):
    def load_segmenter(*_, **options):
        size = (24, 32)
        return lambda clip, at: (np.full((len(at), *size, 3), 1 / 3), np.zeros((2, 1, 1, 0)))

    monkeypatch.setattr(segmenter, "load_segmenter", load_segmenter)
    root, workdir, output = make_folder({"a": 2}), tmp_path / "RUN", tmp_path / "out"
    config = _saved(workdir, open_source(str(root)).classes)
    assert predict(config, str(root), workdir, output, "png") == 2
    assert predict(config, str(root), workdir, output, "png") == 0
    setattr(config.segmentation.inference, name, value)
    with pytest.raises(UserError, match=f"differs in segmentation.inference.{name}"):
        predict(config, str(root), workdir, output, "png")


def test_published_weights_need_no_workdir(make_folder, tmp_path, monkeypatch):
    found, report = fit_state_dict(published_state("hrnet_ocr", 4, 2), "hrnet_ocr")
    assert report.complete
    arrays = {".".join(path): x for path, x in found.items()}
    write_safetensors(
        tmp_path / "w.safetensors", arrays, {"network": "hrnet_ocr", "format": FORMAT}
    )
    root, output = make_folder({"a": 2}), tmp_path / "out"
    config = Config()
    config.segmentation = SegmentationConfig(
        name="hrnet_ocr",
        weights=str(tmp_path / "w.safetensors"),
        network=SegmentationNetwork(width=4),
        inference=SegmentationInference(flip=False),
    )
    monkeypatch.setattr(segmenter, "make_mesh", lambda devices: make_mesh(devices[:1]))
    monkeypatch.setattr(clip, "_segment_batch", clip._segment_batch.__wrapped__)  # by layer
    assert by_layer(predict)(config, str(root), None, output, "npz") == 2
    source = open_source(str(root))
    frame = source.frame("a", "001")
    probs, features = by_layer(load_segmenter(None, config, source, ()))(clip_of(frame[None]), [0])
    read = Predictions(output, source.classes).read("a", "001", (24, 32))
    np.testing.assert_allclose(read[0], probs[0], atol=1e-6)
    assert read[1].shape[-1] == features.shape[-1] == 512


def test_what_says_nothing_of_a_network_is_refused(make_folder, tmp_path):
    root = make_folder({"a": 2})
    with pytest.raises(UserError, match=r"--workdir is missing: .*segmentation\.weights=FILE"):
        predict(Config(), str(root), None, tmp_path / "out", "png")
    files = Config(segmentation=SegmentationConfig(name="precomputed"))
    with pytest.raises(UserError, match="files already: name the network"):
        predict(files, str(root), tmp_path, tmp_path / "out", "png")
    assert not (tmp_path / "out").exists()


def test_frames_are_checked_before_anything_is_written(video, tmp_path):
    config = _saved(tmp_path / "RUN", video.source.classes)
    frame = next((tmp_path / video.source.name / "a" / "frames").glob("004.*"))
    frame.write_bytes(frame.read_bytes()[:100])
    with pytest.raises(UserError, match=r"004\.png is damaged or cut off"):
        predict(config, video.source.name, tmp_path / "RUN", tmp_path / "out", "png")
    assert not (tmp_path / "out").exists()
