"""Stage "motion": what it learns, how it goes on, on how many devices, and what it refuses."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from wrp_jax.config import (
    Config,
    MotionConfig,
    MotionOptimiser,
    MotionSampling,
    MotionTrainingConfig,
    translated,
)
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.open_source import open_source
from wrp_jax.data.source import read_clip
from wrp_jax.motion import build
from wrp_jax.motion.dis import dis_motion
from wrp_jax.motion.dump import dump
from wrp_jax.runs.motion import motion_of
from wrp_jax.runs.results import load_result
from wrp_jax.sharding import make_mesh
from wrp_jax.training.motion import stage as m
from wrp_jax.training.motion.examples import CachedExamples, PairExamples, pair_examples
from wrp_jax.training.motion.networks import Estimator, both_ways, build_estimator, pair_of
from wrp_jax.training.refiner import stage as refiner
from wrp_jax.training.stages import reads_labels, run_stages
from wrp_jax.types import UserError, clip_of
from wrp_jax.weights.load import load_weights

pytestmark = pytest.mark.stages

SYNTHETIC = "synthetic:clips=1,frames=3,height=64,width=80,speed=2"


def config(name="refined_dis", **options):
    """``options``: of the training, by name, wherever they are in the tree."""
    flat = {"steps": 6, "batch_size": 8, "crop": (32, 32), "learning_rate": 1e-2, **options}
    tree = translated({"motion_training": flat})["motion_training"]
    tree["sampling"] = MotionSampling(**tree["sampling"])
    tree["optimiser"] = MotionOptimiser(**tree["optimiser"])
    return Config(
        stages=("motion",),
        motion=MotionConfig(name=name, preset="ultrafast"),
        motion_training=MotionTrainingConfig(**tree),
    )


@pytest.fixture
def toy(monkeypatch):
    """A network of one convolution in the place of the real ones."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, first, second):
            x = jnp.concatenate([first, second], axis=-1) / 255
            return nn.Conv(2, (5, 5))(x)

    net = Net()
    estimator = Estimator(
        lambda key, batch: net.init(key, *pair_of(batch)),
        lambda variables, batch, train: ([net.apply(variables, *pair_of(batch))], {}),
        frames=2,
        multiple=8,
    )
    monkeypatch.setattr(m, "build_estimator", lambda config: estimator)
    return estimator


def train(workdir, options, data=SYNTHETIC):
    source = open_source(data, labelled=False)
    run_stages(options, KnownLabels(source, ()), source, (), workdir)
    return load_result(workdir, "motion")[0]


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def leaves(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_one_cycle_is_pytorchs():
    # OneCycleLR(4e-4, total_steps=1100, pct_start=0.05, anneal_strategy="linear"): up from 1/25
    # until step 0.05 * 1100 - 1 = 54, then down to 1/25e4 at step 1099.
    schedule = m.one_cycle(4e-4, 1000)
    np.testing.assert_allclose(schedule(0), 4e-4 / 25, rtol=1e-5)
    np.testing.assert_allclose(schedule(27), (4e-4 / 25 + 4e-4) / 2, rtol=1e-5)
    np.testing.assert_allclose(schedule(54), 4e-4, rtol=1e-5)
    np.testing.assert_allclose(
        schedule(999), 4e-4 + (4e-4 / 25e4 - 4e-4) * (999 - 54) / (1099 - 54), rtol=1e-4
    )


def test_the_optimisers_first_steps():
    params = {"w": jnp.array([3.0, 4.0])}
    options = MotionOptimiser(
        schedule="steps", steps=10, learning_rate=0.1, weight_decay=0.0, clip=1.0
    )
    optimizer = m.make_optimizer(options)
    state, sizes = optimizer.init(params), []
    for _ in range(10):
        updates, state = optimizer.update({"w": jnp.array([30.0, 40.0])}, state, params)
        sizes.append(float(-updates["w"][0]))
    # Adam's steps on a constant gradient have the size of the rate: a tenth after 5, again after 9.
    np.testing.assert_allclose(sizes, [0.1] * 5 + [0.01] * 4 + [0.001], rtol=1e-3)


def optimizers(clip=1.0, decay=0.0):
    options = MotionOptimiser(clip=clip, weight_decay=decay, learning_rate=0.1, steps=10)
    return m.make_optimizer(options)


def after(optimizer, *gradients):
    """The update of the last of these gradients; the weights stay where they are."""
    params = {"w": jnp.zeros(2)}
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update({"w": jnp.array(gradient)}, state, params)
    return updates["w"]


@pytest.mark.parametrize("make", [optimizers, lambda: refiner.make_optimizer(0.1, 10)])
def test_a_long_gradient_is_cut_to_a_norm_of_one_and_a_short_one_is_not(make):
    short = [0.3, 0.4]
    cut = after(make(), [30.0, 40.0], short)
    np.testing.assert_allclose(cut, after(make(), [0.6, 0.8], short), rtol=1e-5)
    assert np.abs(cut - after(make(), [0.3, 0.4], short)).max() > 1e-3
    uncut = after(optimizers(clip=0.0), [30.0, 40.0], short)
    assert np.abs(uncut - after(optimizers(), [30.0, 40.0], short)).max() > 1e-3


@pytest.mark.parametrize(
    ("optimizer", "step"),
    [
        (optimizers(decay=0.03), 0.1 / 25 * 0.03),
        (refiner.make_optimizer(0.1, 10), 0.1 / 25 * 1e-3),
    ],
)
def test_without_a_gradient_weights_decay_by_the_rate(optimizer, step):
    params = {"w": jnp.array([3.0, -4.0])}
    updates, _ = optimizer.update({"w": jnp.zeros(2)}, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], -step * params["w"], rtol=1e-5)


@pytest.mark.parametrize("loss", ["sequence", "unsupervised"])
def test_stopped_and_started_again_is_the_same(toy, tmp_path, monkeypatch, loss):
    options = config("raft_small", loss=loss)
    whole = train(tmp_path / "whole", options)
    fit = m.fit

    def part(**arguments):
        fit(**{**arguments, "steps": 4, "checkpoint_every": 2})
        raise KeyboardInterrupt

    monkeypatch.setattr(m, "fit", part)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", options)
    monkeypatch.setattr(m, "fit", fit)
    parts = train(tmp_path / "parts", options)
    np.testing.assert_array_equal(leaves(whole), leaves(parts))
    assert [line["step"] for line in lines(tmp_path / "whole")][-1] == 6


@pytest.mark.parametrize("loss", ["sequence", "unsupervised", "reconstruction"])
def test_one_device_is_eight(toy, tmp_path, monkeypatch, loss):
    fit, results = m.fit, []
    for count in (1, 8):
        mesh = make_mesh(jax.devices()[:count])
        monkeypatch.setattr(m, "fit", lambda mesh=mesh, **k: fit(**k, mesh=mesh))
        results.append(
            leaves(train(tmp_path / str(count), config("raft_small", loss=loss, steps=3)))
        )
    np.testing.assert_allclose(*results, rtol=2e-4, atol=2e-5)


def test_training_mends_dis_flow(tmp_path):
    options = config(
        loss="sequence", steps=40, batch_size=2, crop=(32, 64), keep=2, scale=(0.0, 0.0),
        jitter=0.0, hue=0.0, erase=0.0, learning_rate=3e-3, flying=1.0,
    )  # fmt: skip
    train(tmp_path, options)
    errors = [line["epe"] for line in lines(tmp_path)]
    assert len(errors) == 2 and errors[1] < 0.8 * errors[0]
    motion = motion_of(options, tmp_path)
    clip = read_clip(open_source(SYNTHETIC), "clip_000", ("000000", "000001"))
    flow = motion(clip, [0], [1])
    assert flow.shape == (1, 64, 80, 2) and np.isfinite(flow).all()
    # The same weights by their file.
    again = load_weights(tmp_path / "motion.safetensors", "refined_dis")
    np.testing.assert_array_equal(leaves(again), leaves(load_result(tmp_path, "motion")[0]))


def test_a_training_may_go_on_from_what_ships(toy, tmp_path):
    shipped = leaves(load_weights(build.ASSETS["refined_dis"], "refined_dis"))
    went_on = m.initial_variables(config(from_shipped=True), toy, {})
    np.testing.assert_array_equal(leaves(went_on), shipped)
    # A network that ships no weights starts anew, and a file that is given comes first.
    example = {"frames": np.zeros((2, 8, 8, 3), np.uint8)}
    anew = m.initial_variables(config("raft_small", from_shipped=True), toy, example)
    assert leaves(anew).size == 5 * 5 * 6 * 2 + 2
    given = config(from_shipped=True)
    given.motion.weights = str(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match=r"none\.safetensors"):
        m.initial_variables(given, toy, {})


@pytest.mark.parametrize(
    ("name", "loss", "size"),
    [("raft_small", "unsupervised", 64), ("sdcnet", "reconstruction", 64)],
)
def test_every_parameter_of_the_networks_gets_a_gradient(name, loss, size):
    options = config(name, loss=loss, iterations=1, crop=(size, size))
    source = open_source(SYNTHETIC)
    estimator = build_estimator(options)
    examples = m._examples(options, source, estimator)
    example = examples.draw(0, np.random.default_rng(0))
    assert example["frames"].shape == (estimator.frames, size, size, 3)
    variables = m.initial_variables(options, estimator, example)
    measure = m.loss_function(estimator, options.motion_training.optimiser)
    batch = jax.tree.map(lambda a: jnp.asarray(a)[None], example)
    stats = variables.get("batch_stats", {})
    gradients = jax.jit(jax.grad(lambda p: measure({"params": p, "batch_stats": stats}, batch)[0]))(
        variables["params"]
    )
    norms = [float(jnp.abs(g).max()) for g in jax.tree.leaves(gradients)]
    assert np.isfinite(norms).all()
    # Biases in front of an instance norm have none by construction.
    assert np.mean([n > 0 for n in norms]) > 0.6


def test_smoothness_order_says_what_is_smooth():
    """Linear flow costs nothing where linear flow is smooth; the census loss is that of no flow."""
    images = jnp.full((2, 2, 32, 32, 3), 100, jnp.uint8)  # a pair of even grey
    x = jnp.linspace(-3.0, 3.0, 32)
    linear = jnp.stack(jnp.meshgrid(x, jnp.zeros(32)), axis=-1)[None]

    def flows(variables, batch, train):
        return [jnp.concatenate([linear, linear, -linear, -linear])], {}

    def loss(**options):
        recipe = MotionOptimiser(loss="unsupervised", **options)
        estimator = Estimator(lambda key, batch: {}, flows, 2, 1)
        return float(m.loss_function(estimator, recipe)({"params": {}}, {"frames": images})[0])

    without = loss(smoothness=0.0)
    assert loss(smoothness_order=1) > without + 0.1
    assert loss(smoothness_order=2) == pytest.approx(without, abs=0.01)


def test_frames_come_in_the_order_of_time():
    source = open_source("synthetic:clips=1,frames=2,height=64,width=80,speed=0.5")
    options = config(loss="sequence", crop=(64, 64), scale=(0.0, 0.0), flips=(0.0, 0.0),
                     jitter=0.0, hue=0.0, erase=0.0)  # fmt: skip
    guide = dis_motion(MotionConfig(preset="medium"))
    examples = pair_examples(options, source, 32, guide)
    example = examples.draw(0, np.random.default_rng(0))
    assert example["guess"].shape == (1, 2, 64, 64, 2)
    # The guess of the target's flow is near the truth, and the other way is the reverse.
    there, back = example["guess"][0]
    error = np.linalg.norm(there - example["flow"], axis=-1)
    other = np.linalg.norm(back - example["flow"], axis=-1)
    assert np.median(error) < 0.6 * np.median(other)


def test_sdcnet_learns_from_flow_in_files(tmp_path):
    source = open_source("synthetic:clips=1,frames=3,height=64,width=72,speed=2")
    (sequence,) = source.sequences
    dis = dis_motion(MotionConfig(preset="ultrafast"))
    dump(dis, source, tmp_path, suffix=".npz")
    options = config("sdcnet", loss="reconstruction", crop=(64, 64))
    options.motion.flow, options.motion.folder = "precomputed", str(tmp_path)
    m.check_options(options)
    examples = m._examples(options, source, build_estimator(options))
    frames = np.stack([source.frame(sequence, name) for name in source.frame_names(sequence)])
    seen = set()
    for seed in range(12):
        example = examples.draw(0, np.random.default_rng(seed))
        # Undone by hand: the part of the frames, their order, and which side is left.
        for order in (1, -1):
            for side in (1, -1):
                for x in range(9):
                    whole = frames[::order, :, x : x + 64]
                    if np.array_equal(whole[:, :, ::side], example["frames"]):
                        seen.add((order, side))
                        pairs = [
                            dis(clip_of(whole_), [1, 2], [0, 1])
                            for whole_ in (frames[::order], frames[::order][::-1])
                        ]
                        there = pairs[0][:, :, x : x + 64][:, :, ::side] * (side, 1)
                        back = pairs[1][::-1][:, :, x : x + 64][:, :, ::side] * (side, 1)
                        np.testing.assert_allclose(example["guess"][:, 0], there, atol=1e-5)
                        np.testing.assert_allclose(example["guess"][:, 1], back, atol=1e-5)
    assert len(seen) == 4


def test_sdcnet_learns_from_the_flow_of_a_network(monkeypatch):
    asked = []

    def raft(options, variables, count):
        asked.append((options.name, variables))

        def motion(clip, targets, sources, initial=None):
            return clip.stack(targets)[..., :2] - 1.0 * clip.stack(sources)[..., :2]

        return motion

    monkeypatch.setattr(build, "raft_motion", raft)
    monkeypatch.setattr(build, "load_weights", lambda path, name: f"those of {path}")
    options = config("sdcnet", loss="reconstruction", crop=(64, 64))
    options.motion.flow, options.motion.flow_weights = "raft_small", "raft.pth"
    estimator = build_estimator(options)
    examples = m._examples(options, open_source(SYNTHETIC), estimator)
    assert asked == [("raft_small", "those of raft.pth")]
    example = examples.draw(0, np.random.default_rng(0))
    frames = example["frames"][..., :2].astype(np.float32)
    np.testing.assert_array_equal(example["guess"][:, 0], frames[1:] - frames[:-1])
    np.testing.assert_array_equal(example["guess"][:, 1], frames[:-1] - frames[1:])


def test_flow_of_a_network_is_not_computed_by_workers():
    options = config("sdcnet", loss="reconstruction")
    options.workers = 3
    assert m.workers(options) == 3
    options.motion.flow = "raft_small"
    assert m.workers(options) == 0
    options.motion.name = "raft_small"
    assert m.workers(options) == 3


def test_both_ways_exchanges_target_and_source(rng):
    batch = {
        "frames": jnp.asarray(rng.integers(0, 255, (2, 2, 4, 4, 3), np.uint8)),
        "guess": jnp.asarray(rng.normal(size=(2, 1, 2, 4, 4, 2)), jnp.float32),
    }
    double = both_ways(batch)
    target, source = pair_of(batch)
    np.testing.assert_array_equal(pair_of(double)[0], jnp.concatenate([target, source]))
    np.testing.assert_array_equal(double["guess"][2:, 0, 0], batch["guess"][:, 0, 1])
    again = both_ways({k: v[2:] for k, v in double.items()})
    np.testing.assert_array_equal(again["guess"][2:], batch["guess"])


def test_kept_examples_are_drawn_once_and_stay_true():
    options = config(loss="sequence", crop=(32, 32), keep=3, flying=0.0, scale=(0.0, 0.0))
    examples = pair_examples(options, open_source(SYNTHETIC), 32, None)
    assert isinstance(examples, CachedExamples) and len(examples) == 3
    calls, draw = [], PairExamples.draw
    kept = CachedExamples(examples._examples, 3, (32, 32), 0)

    def counted(self, index, rng):
        calls.append(index)
        return draw(self, index, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PairExamples, "draw", counted)
        views = [kept.draw(i, np.random.default_rng(s)) for s in range(4) for i in range(3)]
    assert len(calls) == 3
    assert {v["frames"].shape for v in views} == {(2, 32, 32, 3)}
    # Mirrored views have mirrored flow: the two signs of dx occur at equal places.
    plain, other = (kept.draw(0, np.random.default_rng(s)) for s in (0, 0))
    np.testing.assert_array_equal(plain["flow"], other["flow"])


@pytest.fixture
def frames(tmp_path):
    """A folder of pictures, nothing else."""
    folder = tmp_path / "camera"
    folder.mkdir()
    clip = open_source("synthetic:clips=1,frames=4,height=48,width=56").clip("clip_000")
    for i, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / f"{i:03d}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_of_frames_without_labels_is_enough(toy, frames, tmp_path):
    options = config("raft_small", loss="unsupervised", steps=2)
    assert not reads_labels(options.stages) and reads_labels(("motion", "segmentation"))
    train(tmp_path / "run", options, str(frames))
    assert json.loads((tmp_path / "run" / "labels.json").read_text())["frames"] == []
    assert lines(tmp_path / "run")[-1]["loss"] > 0


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        (config("dis"), SYNTHETIC, "'dis' cannot be trained: use one of refined_dis"),
        (config(loss="best"), SYNTHETIC, "loss is 'best': use one of sequence"),
        (config("sdcnet", loss="sequence"), SYNTHETIC, "looks at 3 frames"),
        (config(schedule="cosine"), SYNTHETIC, "schedule is 'cosine': use one of"),
        (config(loss="sequence", flying=1.5), SYNTHETIC, "must be from 0 to 1"),
        (config(loss="sequence", mix=("chairs",)), SYNTHETIC, "write 'COUNT SPEC'"),
        (config(loss="sequence", crop=(16, 64)), SYNTHETIC, "too small"),
        (config(loss="unsupervised"), "synthetic:clips=1,frames=1", "no sequence of 2 frames"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, options, data, message):
    with pytest.raises(UserError, match=message) as error:
        train(tmp_path / "run", options, data)
    assert "\n" not in str(error.value)


def test_a_run_that_trains_motion_needs_its_workdir(tmp_path):
    with pytest.raises(UserError, match="--workdir is missing"):
        motion_of(config(), None)
    with pytest.raises(UserError, match="train the stage 'motion' first"):
        motion_of(config(), tmp_path)
