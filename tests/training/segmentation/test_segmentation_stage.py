import copy
import dataclasses
import functools
import json
import typing

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from wrp_jax.config import (
    Config,
    SegmentationConfig,
    SegmentationInference,
    SegmentationNetwork,
    SegmentationOptimiser,
    SegmentationSampling,
)
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.build import REGISTRY
from wrp_jax.models.segmentation.light import LightSegmentation
from wrp_jax.ops.resize import resize
from wrp_jax.runs.results import load_result
from wrp_jax.runs.segmentation import load_segmentation
from wrp_jax.segmentation.for_classes import build_for_classes
from wrp_jax.segmentation.temperature import hold_out
from wrp_jax.sharding import global_batch, make_mesh, replicate, state_shardings
from wrp_jax.training.loop import jit_step
from wrp_jax.training.segmentation.crops import CropBatch, crop_size, frame_weights, key_frames
from wrp_jax.training.segmentation.pretrained import initial_variables
from wrp_jax.training.segmentation.recipe import make_loss
from wrp_jax.training.segmentation.stage import make_train_step, train_segmentation
from wrp_jax.training.state import create_train_state
from wrp_jax.types import ClassMap, SegmentationOutput, UserError, Window

pytestmark = pytest.mark.stages

CLASSES = ClassMap(
    ids=(0, 1, 2),
    names=("left", "right", "void"),
    colors=np.zeros((3, 3), np.uint8),
    void=(False, False, True),
)


class Halves:
    """A red left and a green right half, and a void strip; only frame b is labelled."""

    name = "halves"
    classes = CLASSES
    sequences = ("s",)

    def frame_names(self, sequence):
        return ("a", "b", "c")

    def label_names(self, sequence):
        return frozenset("b")

    def frame(self, sequence, name):
        picture = np.zeros((32, 48, 3), np.uint8)
        picture[:, :24, 0], picture[:, 24:, 1] = 200, 200
        return picture

    def label(self, sequence, name):
        assert name == "b", "the label of a frame that is not known was read"
        label = np.zeros((32, 48), np.int32)
        label[:, 24:], label[28:] = 1, 2
        return label


WINDOW = Window("s", "b", "a", "c")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = Config()
    config.segmentation = SegmentationConfig(
        name="light",
        network=SegmentationNetwork(width=8),
        optimiser=SegmentationOptimiser(steps=150, batch_size=4, learning_rate=3e-2, ema_decay=0.5),
        sampling=SegmentationSampling(crop=(32, 32)),
    )
    workdir = tmp_path_factory.mktemp("run")
    source = Halves()
    known = KnownLabels(source, [WINDOW])
    train_segmentation(
        config, known, source, [WINDOW], workdir, eval_fn=lambda state: {"seen": float(state.step)}
    )
    return config, workdir


def test_trains_and_is_read_back(run):
    config, workdir = run
    network, variables = load_segmentation(workdir, config, CLASSES)
    image = jnp.asarray(Halves().frame("s", "a")[None], jnp.float32) / 255.0
    logits = resize(jax.jit(network.apply)(variables, image).logits, (32, 48))
    probs = jax.nn.softmax(logits)[0]
    truth = Halves().label("s", "b")[:28]
    assert (probs[:28].argmax(-1) == truth).mean() > 0.9
    assert probs[..., 2].max() < 1e-10  # void was not learnt and is never said


def test_loss_is_logged_and_falls(run):
    lines = [json.loads(x) for x in (run[1] / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert [line["seen"] for line in lines if "seen" in line] == [*range(15, 151, 15)]


def test_other_classes_are_refused(run):
    config, workdir = run
    other = dataclasses.replace(CLASSES, names=("left", "top", "void"))
    with pytest.raises(UserError, match="classes"):
        load_segmentation(workdir, config, other)


def test_another_network_is_refused(run):
    config, workdir = run
    wider = copy.deepcopy(config)
    wider.segmentation.network.width += 8
    with pytest.raises(UserError, match=r"another network \(segmentation.network.width was"):
        load_segmentation(workdir, wider, CLASSES)


def _start(workdir, config, classes=CLASSES, **options):
    given = {"weights": str(workdir / "segmentation.npz"), **options}
    options = dataclasses.replace(config.segmentation, **given)
    network = build_for_classes(options, classes)
    return initial_variables(network, options, classes, jnp.zeros((1, 32, 32, 3)), seed=3)


def test_another_run_trains_on_from_here(run):
    config, workdir = run
    trained, _ = load_result(workdir, "segmentation")
    start = _start(workdir, config)
    jax.tree.map(np.testing.assert_array_equal, start, trained)
    # Fewer classes: new last layers, all else as it was trained.
    two = dataclasses.replace(
        CLASSES, ids=(0, 1), names=("up", "down"), colors=CLASSES.colors[:2], void=(False, False)
    )
    start = flatten_dict(_start(workdir, config, two, drop_classifier=True))
    old = flatten_dict(trained)
    new = {name for name, x in start.items() if x.shape != old[name].shape}
    assert {name[1] for name in new} == {"logits", "aux"}
    for name in start.keys() - {n for n in start if n[1] in ("logits", "aux")}:
        np.testing.assert_array_equal(start[name], old[name])


@pytest.mark.parametrize(
    ("classes", "options", "says"),
    [
        (
            dataclasses.replace(CLASSES, names=("up", "down", "void")),
            {},
            "on other classes .left",
        ),
        (
            CLASSES,
            {"network": SegmentationNetwork(width=16)},
            "holds another network than config.segmentation.name=light",
        ),
        (CLASSES, {"weights": "refiner.npz"}, "refiner.npz is no segmentation of a run"),
        (CLASSES, {"weights": "segmentation.npz"}, "does not exist"),
    ],
)
def test_what_is_no_start_is_refused_in_one_sentence(run, classes, options, says):
    config, workdir = run
    with pytest.raises(UserError, match=says) as error:
        _start(workdir, config, classes, **options)
    assert "\n" not in str(error.value)


def test_a_run_is_given_as_workdir_where_nothing_is_trained(run):
    config, workdir = run
    weights = str(workdir / "segmentation.npz")
    config = Config(segmentation=dataclasses.replace(config.segmentation, weights=weights))
    with pytest.raises(UserError, match="give its folder as --workdir"):
        load_segmentation(None, config, CLASSES)


def test_one_device_is_eight(rng, monkeypatch):
    # Shallow, for it is compiled twice.
    shallow = functools.partial(LightSegmentation, width=4, blocks=(1, 1, 1))
    monkeypatch.setitem(REGISTRY, "light", lambda config, count: shallow(count))
    options = SegmentationConfig(name="light", network=SegmentationNetwork(width=4))
    network = build_for_classes(options, CLASSES)
    # Not the stage's own, which makes a step of the same size of every gradient, rounding errors
    # of nothing included.
    optimizer = optax.sgd(0.1)
    step = make_train_step(
        network, optimizer, make_loss(options.optimiser, jnp.array([1.0, 2.0, 0.0])), ema_decay=0.9
    )
    variables = initial_variables(network, options, CLASSES, jnp.zeros((1, 32, 32, 3)), seed=0)
    # Every picture is of other colours: statistics of a part are not those of the batch.
    shades = rng.integers(0, 200, (8, 1, 1, 3)) + rng.integers(0, 56, (8, 32, 32, 3))
    batch = CropBatch(shades.astype(np.uint8), rng.integers(0, 2, (8, 32, 32)).astype(np.uint8))
    results = []
    for count in (1, 8):
        mesh = make_mesh(jax.devices()[:count])
        state = replicate(create_train_state(variables, optimizer, ema=True), mesh)
        state, metrics = jax.jit(step)(state, global_batch(batch, mesh), jax.random.key(1))
        results.append(jax.device_get((metrics["loss"], state.params, state.batch_stats)))
        assert len(jax.tree.leaves(state.params)[0].sharding.device_set) == count
    (loss, params, stats), (loss8, params8, stats8) = results
    np.testing.assert_allclose(loss8, loss, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), stats8, stats)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), params8, params)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), params, variables["params"])
    assert np.mean(np.array(jax.tree.leaves(moved)) > 1e-4) > 0.9


@pytest.mark.parametrize("name", ["weighted", "relaxed"])
def test_class_weights_are_no_part_of_the_program(name):
    def pixelwise(variables, images, train, rngs):
        return SegmentationOutput(images @ variables["params"], images), {}

    network = Network(lambda *_: {}, pixelwise)
    mesh, optimizer = make_mesh(jax.devices()[:1]), optax.sgd(0.1)
    state = create_train_state({"params": jnp.eye(3)}, optimizer)
    batch = CropBatch(np.zeros((1, 16, 16, 3), np.uint8), np.zeros((1, 16, 16), np.uint8))
    key = jax.random.key_data(jax.random.key(0))
    program = jit_step(mesh, state_shardings(state, mesh, "replicated"))

    def text(weights):
        loss = make_loss(SegmentationOptimiser(loss=name), jnp.asarray(weights))
        step = make_train_step(network, optimizer, loss, ema_decay=0.0)
        return program.lower(step, state, batch, key, None).as_text()

    assert text([1.0, 2.0, 3.0]) == text([1.0, 7.0, 5.0])


def test_void_alone_teaches_nothing(tmp_path):
    class Void(Halves):
        def label(self, sequence, name):
            return np.full((32, 48), 2, np.int32)

    source = Void()
    with pytest.raises(UserError, match="no class other than void"):
        train_segmentation(Config(), KnownLabels(source, [WINDOW]), source, [WINDOW], tmp_path)


def test_crops_fit_the_frames():
    assert crop_size((224, 288), [(360, 480)] * 3) == (224, 288)
    assert crop_size((224, 288), [(160, 240)] * 3) == (160, 240)
    assert crop_size((224, 288), [(17, 31)]) == (32, 32)


def test_the_videos_own_frames_get_their_share():
    class Stills(Halves):
        name = "stills"

        def label_names(self, sequence):
            return frozenset("abc")

        def label(self, sequence, name):
            return np.zeros((32, 48), np.int32)

    source, stills = Halves(), Stills()
    known = KnownLabels(source, [WINDOW], [(stills, [("s", x) for x in "abc"])])
    is_key = key_frames(known, source, [WINDOW])
    weights = frame_weights(is_key, key_share=0.4)
    np.testing.assert_allclose(weights / weights.sum(), [0.4, 0.2, 0.2, 0.2])
    weights = frame_weights(is_key, key_share=0.1)
    np.testing.assert_allclose(weights / weights.sum(), [0.25] * 4)
    np.testing.assert_array_equal(frame_weights(is_key[:1], 0.4), [1.0])
    # Without a video there are stills alone.
    assert not key_frames(KnownLabels(stills, (), [(stills, [("s", "a")])]), stills, ()).any()


def test_frames_held_out_are_not_learnt_from_and_fit_a_temperature(tmp_path):
    class Many(Halves):
        read: typing.ClassVar = []

        def frame_names(self, sequence):
            return tuple(f"{i:02d}" for i in range(40))

        def label_names(self, sequence):
            return frozenset(self.frame_names(sequence))

        def frame(self, sequence, name):
            self.read.append(name)
            return super().frame(sequence, name)

        def label(self, sequence, name):
            return Halves.label(self, sequence, "b")

    source = Many()
    known = KnownLabels(source, (), [(source, [("s", n) for n in source.frame_names("s")])])
    config = Config()
    config.segmentation = SegmentationConfig(
        name="light",
        network=SegmentationNetwork(width=4, max_pixels=16 * 24),
        optimiser=SegmentationOptimiser(steps=2, batch_size=8),
        sampling=SegmentationSampling(crop=(16, 16), calibration_share=0.2),
        inference=SegmentationInference(flip=False),
    )
    train_segmentation(config, known, source, (), tmp_path)
    variables, _ = load_result(tmp_path, "segmentation")
    assert 0.25 <= variables["temperature"] <= 4.01
    assert hold_out(range(40), 0.2) == list(range(16, 24))
    unseen = set(source.frame_names("s")[16:24])
    first = len(source.read) - len(unseen)
    assert not unseen & set(source.read[:first]) and unseen == set(source.read[first:])
    network, variables = load_segmentation(tmp_path, config, CLASSES)
    picture = jnp.zeros((1, 16, 24, 3))
    plain = {k: v for k, v in variables.items() if k != "temperature"}
    cool, warm = (jax.jit(network.apply)(v, picture).logits[..., :2] for v in (plain, variables))
    np.testing.assert_allclose(cool / variables["temperature"], warm, rtol=1e-5)
