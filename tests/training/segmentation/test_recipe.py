import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wrp_jax.config import SegmentationOptimiser
from wrp_jax.training.segmentation import recipe
from wrp_jax.training.segmentation.losses import segmentation_loss
from wrp_jax.training.segmentation.published_losses import (
    binary_cross_entropy,
    region_mutual_information,
)
from wrp_jax.training.segmentation.recipe import (
    epoch_steps,
    make_loss,
    make_optimizer,
    number_of_steps,
    poly_per_epoch,
)
from wrp_jax.types import SegmentationOutput


@pytest.mark.parametrize(("frames", "steps"), [(1, 100), (30, 180), (500, 900)])
def test_steps_follow_from_the_labelled_frames(frames, steps):
    options = SegmentationOptimiser(steps=0, steps_per_frame=6.0, steps_range=(100, 900))
    assert number_of_steps(options, frames) == steps
    assert number_of_steps(dataclasses.replace(options, steps=7), frames) == 7
    epochs = dataclasses.replace(options, epochs=3, batch_size=8, steps=7)
    assert number_of_steps(epochs, frames) == 3 * epoch_steps(epochs, frames) == 3 * -(-frames // 8)


def test_the_rate_falls_once_per_epoch():
    schedule = poly_per_epoch(0.1, steps=40, steps_per_epoch=10, power=2.0)
    rates = np.array([schedule(step) for step in range(40)])
    np.testing.assert_allclose(rates, np.repeat(0.1 * np.array([1, 9 / 16, 4 / 16, 1 / 16]), 10))


def test_sgd_is_that_of_the_protocol():
    options = SegmentationOptimiser(name="sgd", learning_rate=0.1, weight_decay=0.5, poly_power=1.0)
    optimizer = make_optimizer(options, steps=4, steps_per_epoch=2)
    params, momentum = jnp.array([2.0, -1.0]), np.zeros(2)
    expected, state = np.array([2.0, -1.0]), optimizer.init(params)
    for step in range(4):
        gradient = np.array([0.3, 0.2]) * (step + 1)
        updates, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, params)
        params = optax.apply_updates(params, updates)
        momentum = 0.9 * momentum + gradient + 0.5 * expected  # as in PyTorch
        expected = expected - 0.1 * (1.0 if step < 2 else 0.5) * momentum
        np.testing.assert_allclose(params, expected, rtol=1e-5)


def test_a_pretrained_encoder_learns_at_a_share_of_the_rate_and_without_muon():
    params = {name: {"kernel": jnp.ones((2, 3))} for name in ("encoder", "ocr")}
    gradient = {"kernel": jnp.full((2, 3), 0.3)}
    options = SegmentationOptimiser(name="sgd", encoder_rate=0.25, weight_decay=0.0)
    optimizer = make_optimizer(options, steps=4, steps_per_epoch=2)
    updates, _ = optimizer.update(
        {"encoder": gradient, "ocr": gradient}, optimizer.init(params), params
    )
    step = updates["ocr"]["kernel"]
    assert float(jnp.abs(step).min()) > 0
    np.testing.assert_allclose(updates["encoder"]["kernel"], 0.25 * step, rtol=1e-6)
    read = recipe._matrices(params)
    assert read["encoder"]["kernel"] is None
    assert read["ocr"]["kernel"] is not None


@pytest.mark.parametrize("name", ["muon", "sgd"])
def test_what_has_no_gradient_in_the_encoder_stays_as_it_is(name):
    params = {part: {"kernel": jnp.ones((2, 3))} for part in ("encoder", "ocr")}
    optimizer = make_optimizer(SegmentationOptimiser(name=name), steps=4, steps_per_epoch=2)
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    assert not updates["encoder"]["kernel"].any()
    assert updates["ocr"]["kernel"].all()


def test_rmi_with_auxiliary_and_single_scales():
    keys = jax.random.split(jax.random.key(0), 4)
    logits, aux, low, high = (jax.random.normal(k, (1, 16, 20, 3)) for k in keys)
    labels = jax.random.randint(keys[0], (1, 16, 20), 0, 4)  # 3 is no class
    output = SegmentationOutput(logits, jnp.zeros((1, 2, 2, 1)), aux)
    options = SegmentationOptimiser(loss="rmi", single_scale_weight=0.05)
    expected = region_mutual_information(logits, labels) + 0.4 * binary_cross_entropy(aux, labels)
    loss = make_loss(options, jnp.ones(3))
    np.testing.assert_allclose(loss(output, labels), expected, rtol=1e-6)
    expected += 0.05 * sum(binary_cross_entropy(x, labels) for x in (low, high))
    scales = output._replace(scale_logits=(low, high))
    np.testing.assert_allclose(loss(scales, labels), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["weighted", "rmi", "image_weighted", "relaxed"])
def test_every_loss_takes_logits_of_any_stride(name):
    output = SegmentationOutput(
        jax.random.normal(jax.random.key(0), (2, 16, 16, 3)),
        jnp.zeros((2, 4, 4, 5)),
        jnp.zeros((2, 8, 8, 3)),
    )
    labels = jax.random.randint(jax.random.key(1), (2, 32, 32), 0, 3)
    loss = make_loss(SegmentationOptimiser(loss=name), jnp.ones(3))
    value, gradient = jax.value_and_grad(lambda z: loss(output._replace(logits=z), labels))(
        output.logits
    )
    assert np.isfinite(value) and np.abs(gradient).max() > 0


def test_weighted_is_the_cross_entropy_of_the_shares():
    output = SegmentationOutput(jnp.ones((1, 4, 4, 2)), jnp.zeros((1, 1, 1, 1)))
    labels, weights = jnp.zeros((1, 8, 8), jnp.int32), jnp.array([0.5, 2.0])
    loss = make_loss(SegmentationOptimiser(), weights)
    np.testing.assert_allclose(loss(output, labels), segmentation_loss(output, labels, weights))


@pytest.mark.parametrize("weight", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("name", ["weighted", "image_weighted"])
def test_aux_weight_is_the_weight_of_the_auxiliary_output(name, weight):
    main, aux = jax.random.normal(jax.random.key(0), (2, 1, 4, 4, 3))
    labels = jax.random.randint(jax.random.key(1), (1, 8, 8), 0, 3)
    loss = make_loss(SegmentationOptimiser(loss=name, aux_weight=weight), jnp.ones(3))
    alone = make_loss(SegmentationOptimiser(loss=name, aux_weight=0.0), jnp.ones(3))
    output = SegmentationOutput(main, jnp.zeros((1, 1, 1, 1)), aux)
    # The same logits in both outputs: the loss of the auxiliary one is that of the main one.
    expected = alone(output, labels) + weight * alone(output._replace(logits=aux), labels)
    np.testing.assert_allclose(loss(output, labels), expected, rtol=1e-5)
