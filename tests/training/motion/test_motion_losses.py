"""Losses of motion: closed forms, limits, and gradients against finite differences."""

import golden_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.training.motion import losses as fl

# Compiled as wholes: their many small operations, one by one, take longer.
reconstruction_loss, visible = jax.jit(fl.reconstruction_loss), jax.jit(fl.visible)
smoothness_loss = jax.jit(fl.smoothness_loss, static_argnames="order")
unsupervised_loss = jax.jit(fl.unsupervised_loss, static_argnames=("smoothness", "order"))


def picture(rng, h=16, w=20, b=1):
    """A smooth random picture, 0 … 255."""
    coarse = rng.uniform(0, 255, (b, h // 4, w // 4, 3))
    return jnp.asarray(jax.image.resize(jnp.asarray(coarse), (b, h, w, 3), "cubic"), jnp.float32)


def test_sequence_loss_in_closed_form():
    truth = jnp.zeros((1, 2, 4, 2)).at[0, 0, 0].set(jnp.array([300.0, 300.0]))  # longer than 400
    valid = jnp.ones((1, 2, 4), bool).at[0, 1, 3].set(False)
    flows = [jnp.full((1, 2, 4, 2), v) for v in (3.0, -2.0, 1.0)]
    loss = fl.sequence_loss(flows, truth, valid, gamma=0.5)
    # Six of eight pixels count; the mean is over all eight.
    np.testing.assert_allclose(loss, 6 / 8 * (0.25 * 3 + 0.5 * 2 + 1), rtol=1e-6)
    stacked = fl.sequence_loss(jnp.stack(flows), truth, valid, gamma=0.5)
    np.testing.assert_allclose(stacked, loss, rtol=1e-6)


def test_sequence_loss_has_no_gradient_where_nothing_is_known():
    valid = jnp.array([[[True, False]]])
    grad = jax.grad(lambda f: fl.sequence_loss([f], jnp.ones((1, 1, 2, 2)), valid))(
        jnp.zeros((1, 1, 2, 2))
    )
    np.testing.assert_allclose(grad[0, 0], [[-0.25, -0.25], [0, 0]])


def test_end_point_errors_in_closed_form():
    flow = jnp.zeros((1, 1, 3, 2)).at[0, 0, 0].set(jnp.array([3.0, 4.0]))
    valid = jnp.array([[[True, True, False]]])
    errors = fl.end_point_errors(flow, jnp.zeros_like(flow), valid)
    np.testing.assert_allclose([errors.distance, errors.far, errors.count], [5, 1, 2])


def test_reconstruction_loss_in_closed_form():
    # A ramp moved by one pixel to the right, and a flow of (0, y): zero gradient error along x
    # and one grey level of difference.
    ramp = jnp.tile(jnp.arange(8.0)[None, None, :, None], (1, 6, 1, 3))
    flow = jnp.zeros((1, 6, 8, 2))
    np.testing.assert_allclose(reconstruction_loss(ramp + 1, ramp, flow), 0.7 / 255, rtol=1e-5)
    np.testing.assert_allclose(reconstruction_loss(ramp, ramp, flow), 0, atol=1e-8)
    # Twice as steep: |∂x| differs by one; brightness by x.
    loss = reconstruction_loss(2 * ramp, ramp, flow)
    np.testing.assert_allclose(loss, 0.7 * 3.5 / 255 + 0.2 * 1, rtol=1e-5)
    # Flow with a slope of 0.5 along y in one of two components, on a flat picture.
    flow = flow.at[..., 1].set(0.5 * jnp.arange(6.0)[:, None])
    flat = jnp.ones((1, 6, 8, 3))
    np.testing.assert_allclose(reconstruction_loss(flat, flat, flow), 0.1 * 0.25, rtol=1e-5)


def test_reconstruction_is_measured_as_in_the_release():
    golden = golden_files.arrays("sdcnet")
    frames = golden["frames_uint8"].astype(np.float32)
    pair = jnp.asarray(frames[2:3]), jnp.asarray(frames[1:2])
    flow = jnp.asarray(golden["full_flow"])
    names = ("loss_color", "loss_color_gradient", "loss_flow_smoothness")
    for name, term in zip(names, fl.reconstruction_terms(*pair, flow), strict=True):
        np.testing.assert_allclose(term, golden[name], rtol=1e-5, err_msg=name)
    loss = reconstruction_loss(*pair, flow)
    np.testing.assert_allclose(loss, golden["loss_tot"], rtol=1e-5)


def test_census_does_not_see_brightness_and_sees_structure(rng):
    image = picture(rng)
    assert fl.census(image).shape == (1, 16, 20, 49)
    same = fl.census_error(fl.census(image), fl.census(image + 30))
    np.testing.assert_allclose(same, 0, atol=1e-4)
    other = fl.census_error(fl.census(image), fl.census(image[:, ::-1]))
    assert other.mean() > 0.2 and other.max() <= 1


def test_census_in_closed_form():
    image = jnp.zeros((1, 3, 3, 3)).at[0, 1, 2].set(9.0)
    signs = fl.census(image, radius=1)[0, 1, 1]
    expected = np.zeros(9)
    expected[5] = 9 / np.sqrt(0.81 + 81)  # row-major: the pixel to the right
    np.testing.assert_allclose(signs, expected, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_smoothness_allows_what_its_order_allows(rng, order):
    flat = jnp.full((1, 12, 12, 3), 90.0)
    x = jnp.arange(12.0)
    linear = jnp.stack(jnp.meshgrid(2 * x, x), -1)[None]
    constant = jnp.full((1, 12, 12, 2), 5.0)
    floor = 1e-3  # charbonnier of nothing
    np.testing.assert_allclose(smoothness_loss(flat, constant, order=order), floor, rtol=1e-3)
    loss = smoothness_loss(flat, linear, order=order)
    expected = (2 + 1) / 2 / 2 if order == 1 else floor
    np.testing.assert_allclose(loss, expected, rtol=2e-3)


def test_an_edge_of_the_picture_lifts_the_demand():
    flow = jnp.zeros((1, 8, 12, 2)).at[:, :, 6:].set(4.0)
    flat = jnp.zeros((1, 8, 12, 3))
    edge, elsewhere = flat.at[:, :, 6:].set(255.0), flat.at[:, :, 3:].set(255.0)
    assert smoothness_loss(edge, flow) < 0.01 * smoothness_loss(flat, flow)
    assert smoothness_loss(elsewhere, flow) > 0.9 * smoothness_loss(flat, flow)
    # Second differences span three pixels: both of those at the step are lifted.
    assert smoothness_loss(edge, flow, order=2) < 0.01 * smoothness_loss(flat, flow, order=2)


def test_visible_is_what_comes_home():
    flow = jnp.full((1, 6, 10, 2), jnp.array([2.0, 0.0]))
    seen = visible(flow, -flow)
    np.testing.assert_array_equal(seen[0, :, :8], 1)
    np.testing.assert_array_equal(seen[0, :, 8:], 0)  # leads out
    np.testing.assert_array_equal(visible(flow, jnp.zeros_like(flow)), 0)
    # 0.01 (4 + 4) + 0.5 = 0.58 = 0.7616²: just within, just beyond.
    for off, expected in ((0.74, 1), (0.78, 0)):
        near = visible(flow, -flow + jnp.array([0.0, off]))
        assert near[0, 2, 2] == expected


def test_unsupervised_loss_prefers_the_true_flow(rng):
    source = picture(rng, 24, 32)
    shift = 3
    target = jnp.roll(source, -shift, axis=2)  # target(x) = source(x + 3)
    seen = jnp.ones((1, 24, 32)).at[:, :, -shift:].set(0)
    losses = [
        unsupervised_loss(target, source, jnp.zeros((1, 24, 32, 2)).at[..., 0].set(dx), seen)
        for dx in (0.0, 2.0, 3.0, 4.0)
    ]
    assert int(jnp.argmin(jnp.stack(losses))) == 2
    assert losses[2] < 0.2 * losses[0]


def test_hidden_pixels_play_no_part(rng):
    source, target = picture(rng), picture(rng)
    seen = jnp.ones((1, 16, 20)).at[:, :, 10:].set(0)
    flow = jnp.zeros((1, 16, 20, 2))
    hidden = target.at[:, :, 14:].set(0)  # beyond the reach of the census patch of seen pixels
    kwargs = {"smoothness": 0.0}
    one = unsupervised_loss(target, source, flow, seen, **kwargs)
    np.testing.assert_allclose(
        unsupervised_loss(hidden, source, flow, seen, **kwargs), one, rtol=1e-6
    )


def _losses(target, source, seen):
    truth = jnp.full((*seen.shape, 2), 0.3)
    return {
        "sequence": lambda f: fl.sequence_loss([0.5 * f, f], truth, seen > 0),
        "reconstruction": lambda f: reconstruction_loss(target, source, f),
        "unsupervised": lambda f: unsupervised_loss(target, source, f, seen),
        "second_order": lambda f: unsupervised_loss(target, source, f, seen, order=2),
    }


@pytest.mark.parametrize("name", ["sequence", "reconstruction", "unsupervised", "second_order"])
def test_gradients_are_finite_differences(x64, name):
    rng = np.random.default_rng(1)
    target, source = (picture(rng).astype(jnp.float64) for _ in range(2))
    seen = jnp.asarray(rng.uniform(size=(1, 16, 20)) < 0.8, jnp.float64)
    loss = jax.jit(_losses(target, source, seen)[name])
    # Away from whole pixels, where bilinear sampling has a kink.
    flow = jnp.asarray(rng.integers(-2, 3, (1, 16, 20, 2)) + rng.uniform(0.2, 0.8, (1, 16, 20, 2)))
    way = jnp.asarray(rng.normal(size=flow.shape))
    step = 1e-6
    numeric = (loss(flow + step * way) - loss(flow - step * way)) / (2 * step)
    np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(flow), way), numeric, rtol=2e-4)
