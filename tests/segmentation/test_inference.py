import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.config import SegmentationConfig, SegmentationInference, SegmentationNetwork
from wrp_jax.models.network import Network
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.ops.resize import resize
from wrp_jax.segmentation import inference
from wrp_jax.types import SegmentationOutput, UserError


def _per_pixel(variables, images, train=False, rngs=None):
    logits = jnp.concatenate([images, images[..., :1] ** 2], axis=-1) * variables
    return SegmentationOutput(logits, images[:, ::4, ::4])


def _looks_left(variables, images, train=False, rngs=None):
    left = jnp.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    return SegmentationOutput(variables * jnp.concatenate([images, left], -1), images[:, ::4, ::4])


def _knows_its_size(variables, images, train=False, rngs=None):
    b, h, w, _ = images.shape
    size = (-(-h // 4), -(-w // 4))
    return SegmentationOutput(
        jnp.full((b, *size, 2), float(w)), jnp.full((b, *size, 1), variables * w)
    )


def network(apply):
    return Network(lambda key, images: jnp.float32(2), apply)


@pytest.fixture
def image(rng):
    return jnp.asarray(rng.uniform(size=(2, 75, 101, 3)), jnp.float32)


def test_flip_averaging_treats_left_and_right_alike(image):
    plain, both = network(_looks_left), inference.average_flips(network(_looks_left))
    output = both.apply(2.0, image)
    mirrored = both.apply(2.0, image[:, :, ::-1])
    np.testing.assert_allclose(mirrored.logits[:, :, ::-1], output.logits, atol=1e-6)
    once, other = plain.apply(2.0, image), plain.apply(2.0, image[:, :, ::-1])
    expected = 0.5 * (once.logits + other.logits[:, :, ::-1])
    np.testing.assert_allclose(output.logits, expected, atol=1e-6)
    np.testing.assert_array_equal(output.features, once.features)
    assert np.abs(once.logits - output.logits).max() > 0.1


def test_scales_are_averaged_at_the_size_of_the_image(image):
    output = inference.average_scales(network(_knows_its_size), (0.5, 1.0, 2.0)).apply(1.0, image)
    assert output.logits.shape == (2, 75, 101, 2)
    np.testing.assert_allclose(output.logits, (50 + 101 + 202) / 3, rtol=1e-6)
    np.testing.assert_array_equal(output.features, 101)


@pytest.mark.parametrize(("window", "overlap"), [((32, 64), 0.0), ((64, 32), 0.5), ((32, 32), 0.9)])
def test_windows_of_a_per_pixel_network_are_the_whole_image(image, window, overlap):
    plain = network(_per_pixel)
    output = jax.jit(inference.over_windows(plain, window, overlap).apply)(2.0, image)
    whole = plain.apply(2.0, image)
    np.testing.assert_allclose(output.logits, whole.logits, atol=1e-5)
    np.testing.assert_allclose(output.features, whole.features, atol=1e-5)


def test_an_image_that_fits_is_seen_whole(image):
    windowed = inference.over_windows(network(_knows_its_size), (96, 128), 0.25)
    np.testing.assert_array_equal(windowed.apply(1.0, image).logits, 101)
    narrow = inference.over_windows(network(_knows_its_size), (96, 64), 0.25)
    np.testing.assert_allclose(narrow.apply(1.0, image).logits, 64, rtol=1e-6)


@pytest.mark.parametrize("length", [33, 64, 100, 1024, 1999])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
def test_windows_cover_the_side_with_the_overlap_asked_for(length, overlap):
    starts = inference.window_starts(length, 64, overlap)
    assert starts[0] == 0 and all(start % 32 == 0 for start in starts)
    assert starts[-1] + 64 >= length and (len(starts) == 1 or starts[-2] + 64 < length)
    steps = np.diff(starts)
    assert np.all(steps <= max(32, 64 * (1 - overlap)))


def test_options_are_composed_and_mistakes_named(image):
    plain = network(_looks_left)
    assert inference.for_inference(plain, SegmentationInference(flip=False)) is plain
    options = SegmentationInference(flip=True, average_scales=(0.5,), window=(32, 64), overlap=0.5)
    output = jax.jit(inference.for_inference(plain, options).apply)(2.0, image)
    assert output.logits.shape == (2, 75, 101, 6)
    with pytest.raises(UserError, match="multiples of 32"):
        inference.for_inference(plain, SegmentationInference(window=(100, 64)))
    with pytest.raises(ValueError, match="inference"):
        inference.average_flips(plain).apply(2.0, image, train=True)


def test_a_constant_image_is_a_fixed_point_of_all(image):
    flat = jnp.full((1, 70, 90, 3), 0.5)
    plain = network(_per_pixel)
    options = SegmentationInference(flip=True, average_scales=(0.5, 2.0), window=(64, 64))
    logits = jax.jit(inference.for_inference(plain, options).apply)(2.0, flat).logits
    expected = resize(plain.apply(2.0, flat[:, :1, :1]).logits, (70, 90))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def _light(window, image):
    """The light network at a small width, and variables of it, for windows larger than it sees."""
    options = SegmentationConfig(
        name="light",
        network=SegmentationNetwork(width=2, max_pixels=2000),
        inference=SegmentationInference(flip=False, window=window),
    )
    plain = build_segmentation(options, 3)
    variables = jax.jit(plain.init)(jax.random.key(0), image[:, :32, :32])
    return plain, jax.jit(inference.for_inference(plain, options.inference).apply), variables


def test_windows_of_a_network_that_makes_them_smaller_are_laid_over_one_another(image):
    plain, windowed, variables = _light((64, 64), image)
    output = windowed(variables, image)
    once = jax.jit(plain.apply)(variables, image[:, :64, :64])
    assert once.features.shape[1:3] == (6, 6)  # of 64 pixels: not a whole number per feature
    assert output.logits.shape == (2, 75, 101, 3) and output.features.shape[:3] == (2, 10, 13)
    # Up to where the second window starts, in both directions, the first is alone.
    assert inference.window_starts(75, 64, 0.25) == inference.window_starts(101, 64, 0.25)[:2]
    logits, features = resize(once.logits, (64, 64)), resize(once.features, (8, 8))
    np.testing.assert_allclose(output.logits[:, :32, :32], logits[:, :32, :32], atol=1e-5)
    np.testing.assert_allclose(output.features[:, :4, :4], features[:, :4, :4], atol=1e-5)
    assert np.ptp(features) > 0.1


def test_a_window_that_covers_the_image_changes_nothing(image):
    plain, windowed, variables = _light((96, 128), image)
    output, whole = windowed(variables, image), jax.jit(plain.apply)(variables, image)
    np.testing.assert_array_equal(output.logits, whole.logits)
    np.testing.assert_array_equal(output.features, whole.features)


def test_the_default_network_looks_through_windows_of_a_large_frame():
    options = SegmentationInference(window=(512, 512))
    plain = build_segmentation(SegmentationConfig(), 3)
    frame = jax.ShapeDtypeStruct((1, 720, 1280, 3), jnp.float32)
    variables = jax.eval_shape(plain.init, jax.random.key(0), frame)
    output = jax.eval_shape(inference.for_inference(plain, options).apply, variables, frame)
    assert output.logits.shape == (1, 720, 1280, 3)
    assert output.features.shape[:3] == (1, 90, 160)
