"""The paper's Ω trained through the chain, τ with it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.refiner.toy_video import CLASSES, config, train, training_data

from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.models.refine import pix2pix
from wrp_jax.propagation.cues import chain_cues
from wrp_jax.propagation.step import MaskOptions
from wrp_jax.runs.refiner import load_refiner
from wrp_jax.runs.results import save_result
from wrp_jax.training.refiner import stage as refiner
from wrp_jax.training.refiner.pix2pix import unrolled
from wrp_jax.training.refiner.pix2pix.chain_crops import chain_crops, unpack_chain
from wrp_jax.training.state import create_train_state, inference_variables
from wrp_jax.types import ClipCues, UserError


def moving_clip(rng, n=4, size=(72, 80)):
    h, w = size
    flow = rng.normal(scale=2.0, size=(2, n - 1, h, w, 2)).astype(np.float32)
    return ClipCues(
        frames=rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8),
        flow_backward=flow[0],
        flow_forward=flow[1],
        probs=(rng.multinomial(255, [0.5, 0.3, 0.2], (n, h, w)) / 255).astype(np.float32),
        features=rng.normal(size=(n, h // 8, w // 8, 4)).astype(np.float32),
    )


def test_a_crop_is_its_place_in_the_padded_chain(rng):
    clip = moving_clip(rng)
    place = np.arange(9 * 10).repeat(4).reshape(1, 9, 10, 4).repeat(4, 0)
    clip = clip._replace(features=place.astype(np.float32))
    label = np.kron(place[0, ..., 0], np.ones((8, 8), int))  # the feature it lies under
    order = np.array([[0, 1, 2, 1, 0]])
    index = np.where(label < 3, label, 7)  # three classes; the rest is unknown
    crops = list(chain_crops(rng, clip, order, index, index, steps=6, count=3))
    for crop in crops:
        assert crop.chain.flow.shape == (6, 64, 64, 2) and crop.chain.features.shape[1:3] == (8, 8)
        np.testing.assert_array_equal(crop.chain.active, [1, 1, 1, 1, 0, 0])
        corner = int(crop.chain.features[0, 0, 0, 0])
        y, x = 8 * (corner // 10), 8 * (corner % 10)
        part = slice(y, y + 64), slice(x, x + 64)
        expected = index[part]
        np.testing.assert_array_equal(crop.truth, np.where(expected < 3, expected, 255))
        batch = jax.tree.map(lambda a: a[None], crop.chain)
        cues = jax.jit(unpack_chain)(batch)
        whole = chain_cues(clip, order)
        np.testing.assert_allclose(cues.image[:4, 0], whole.image[:, 0, *part], atol=1e-6)
        np.testing.assert_allclose(cues.probs[:4, 0], whole.probs[:, 0, *part], atol=1e-6)
        np.testing.assert_allclose(cues.flow[:4, 0], whole.flow[:, 0, *part], atol=4e-3)
        np.testing.assert_array_equal(cues.flow[4:], 0)


@pytest.fixture
def small_omega(monkeypatch):
    """A refiner that compiles in seconds."""
    build = pix2pix.build_pix2pix
    small = lambda: build(width=2, scales=1, blocks=1)  # noqa: E731
    monkeypatch.setattr("wrp_jax.models.refine.pix2pix.build_pix2pix", small)


def test_a_step_moves_omega_and_tau_and_the_loss_goes_down(rng, small_omega, tmp_path):
    options = config(
        name="pix2pix", source="both", unrolled=True, learn_tau=True, max_cycle_length=2
    )
    options.refiner.crops = 2
    options.propagation.mask = "paper"
    optimizer = refiner.make_optimizer(1e-2, 20)
    data = training_data(rng)
    # Noise instead of a still picture: τ only matters where pictures differ.
    data.source.frame = lambda sequence, name: np.random.default_rng(int(name)).integers(
        0, 255, (96, 104, 3), dtype=np.uint8
    )
    setup = refiner.make_setup(options, data, optimizer)
    state, metrics = train(setup, optimizer, 6, batch_size=2)
    assert metrics[-1]["loss"] < metrics[0]["loss"], metrics
    assert metrics[0]["tau"] != metrics[-1]["tau"]
    before, after = (unrolled.take_tau(p)[0] for p in (setup.variables["params"], state.params))
    for name in before:
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), before[name], after[name])
        assert max(jax.tree.leaves(moved)) > 0, name
    stats = setup.variables["batch_stats"], state.batch_stats
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), *stats)))

    save_result(
        tmp_path, "refiner", inference_variables(state), {"classes": classes_to_json(CLASSES)}
    )
    trained = load_refiner(tmp_path, options, CLASSES)
    assert trained.tau is not None and trained.tau != options.propagation.tau
    labels, features = jnp.zeros((1, 8, 8, 3)), jnp.zeros((1, 1, 1, 4))
    logits = jax.jit(trained.network.apply)(trained.variables, labels, features)
    assert logits.shape == labels.shape


def test_tau_alone_learns_with_omega_at_the_end(rng, small_omega):
    options = config(name="pix2pix", source="cycle", learn_tau=True, max_cycle_length=1)
    optimizer = refiner.make_optimizer(1e-2, 20)
    setup = refiner.make_setup(options, training_data(rng), optimizer)
    assert not options.refiner.unrolled
    state, metrics = train(setup, optimizer, 3, batch_size=2)
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert "log_tau" in state.params


def test_the_chooser_is_not_unrolled(rng):
    with pytest.raises(UserError, match="pix2pix"):
        refiner.make_setup(
            config(unrolled=True), training_data(rng), refiner.make_optimizer(1e-2, 20)
        )


@pytest.mark.parametrize(("backend", "unrolled_steps"), [("cpu", 2), ("gpu", 1)])
def test_the_chain_is_unrolled_on_a_cpu_alone(rng, monkeypatch, backend, unrolled_steps):
    label = np.zeros((72, 80), int)
    order = np.array([[0, 1, 0]])
    crops = list(chain_crops(rng, moving_clip(rng), order, label, label, steps=2, count=1))
    batch = jax.tree.map(lambda a: a[None], crops[0])
    network = pix2pix.build_pix2pix(width=2, scales=1, blocks=1)
    variables = network.init(
        jax.random.key(0), batch.chain.probs[:, 0] / 255.0, batch.chain.features[:, 0]
    )
    optimizer = refiner.make_optimizer(1e-2, 20)
    state = create_train_state(variables, optimizer, ema=True)
    step = unrolled.make_train_step(network, optimizer, MaskOptions(0.5), jnp.ones(3))
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    program = str(jax.make_jaxpr(step)(state, batch, jax.random.key(0)))
    assert max(map(int, re.findall(r"unroll=(\d+)", program))) == unrolled_steps
