"""SDC-Net equals the published network; tolerances are those of the fixtures' README."""

from __future__ import annotations

import functools

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nearest_warp import resample_nearest

from wrp_jax.models.motion.sdcnet import build_sdcnet, network_input, pairwise_flows
from wrp_jax.ops.warp import warp
from wrp_jax.weights import published

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("compiled_for_users")]


@pytest.fixture(scope="module")
def golden():
    return golden_files.arrays("sdcnet")


@pytest.fixture(scope="module")
def predict():
    found, report = published.fit_state_dict(golden_files.state_dict("sdcnet"), "sdcnet")
    assert report.complete, report
    return functools.partial(
        jax.jit(build_sdcnet().apply), jax.tree.map(jnp.asarray, published.nest(found))
    )


def _close(got, expected, tolerance):
    assert np.abs(np.asarray(got) - expected).max() <= tolerance


def test_warping_of_the_release(golden):
    frame = jnp.asarray(golden["frames_uint8"][1:2], jnp.float32)
    flow = jnp.asarray(golden["warp_flow"])
    _close(warp(frame, flow)[0], golden["warp_image_bilinear"], 1e-3)
    moved = resample_nearest(jnp.asarray(golden["label"]), flow)
    np.testing.assert_array_equal(moved, golden["warp_label_nearest"])


def test_reconstruction(golden, predict):
    frames = golden["frames_uint8"].astype(np.float32)[None]
    flows = np.stack([golden["input_flow_0"], golden["input_flow_1"]], axis=1)
    flow = predict(frames, flows)
    _close(flow, golden["network_output_flow"], 5e-4)
    _close(warp(jnp.asarray(frames[:, 1]), flow)[0], golden["warped_image"], 2e-2)
    label = resample_nearest(jnp.asarray(golden["label"]), flow)
    assert np.mean(label != golden["warped_label"]) <= 1e-3


def test_input_is_interleaved_by_component():
    frames = np.arange(27.0, dtype=np.float32).reshape(1, 3, 1, 3, 3)
    flows = np.zeros((1, 2, 1, 3, 2), np.float32) + np.float32([1, 2])
    flows[:, 1] += 10
    x = np.asarray(network_input(jnp.asarray(frames), jnp.asarray(flows)))[0, 0, 0]
    assert x.shape == (13,)
    assert x[0] < x[1] and x[2] < x[3]  # both dx, then both dy
    steps = np.diff(x[4:13].reshape(3, 3), axis=1) * 255
    np.testing.assert_allclose(steps, 9.0, rtol=1e-4)  # one colour's three frames side by side


def test_flows_are_asked_later_to_earlier():
    asked = []

    def source(target, origin):
        asked.append((np.asarray(target[:, 0, 0, 0]), np.asarray(origin[:, 0, 0, 0])))
        return jnp.zeros((*target.shape[:3], 2)) + target[..., :1]

    frames = jnp.broadcast_to(jnp.arange(3.0)[None, :, None, None, None], (1, 3, 2, 2, 3))
    flows = pairwise_flows(source, frames)
    np.testing.assert_array_equal(asked[0][0], [1, 2])
    np.testing.assert_array_equal(asked[0][1], [0, 1])
    np.testing.assert_array_equal(flows[0, :, 0, 0, 0], [1, 2])


def test_prediction_does_without_the_future_frame():
    network = build_sdcnet()
    frames, flows = jnp.zeros((1, 2, 64, 64, 3)), jnp.zeros((1, 1, 64, 64, 2))
    shapes = jax.eval_shape(network.init, jax.random.key(0), frames, flows)
    assert shapes["params"]["conv1"]["0"]["kernel"].shape == (7, 7, 8, 32)
    assert shapes["params"]["final_flow"]["kernel"].shape == (3, 3, 16, 2)
    flow, state = jax.eval_shape(
        functools.partial(network.apply, train=True), shapes, frames, flows
    )
    assert flow.shape == (1, 64, 64, 2) and state == {}


def test_sizes_that_do_not_fit_are_named(predict):
    with pytest.raises(ValueError, match="64, not 60x64"):
        predict(jnp.zeros((1, 3, 60, 64, 3)), jnp.zeros((1, 2, 60, 64, 2)))
