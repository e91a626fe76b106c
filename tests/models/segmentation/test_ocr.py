import jax
import jax.numpy as jnp
import numpy as np

from wrp_jax.models.segmentation.ocr import ObjectContext, object_regions


def test_region_of_a_certain_class_is_the_mean_of_its_pixels():
    pixels = jax.random.normal(jax.random.key(0), (2, 10, 4))
    ids = jnp.arange(10) % 3
    logits = jnp.where(ids[:, None] == jnp.arange(3), 40.0, -40.0)[None].repeat(2, 0)
    regions = object_regions(pixels, logits)
    for c in range(3):
        np.testing.assert_allclose(regions[:, c], pixels[:, ids == c].mean(1), atol=1e-5)


def test_context_does_not_depend_on_where_pixels_lie():
    # Attention over regions knows no positions: permuted pixels give permuted features.
    module = ObjectContext(features=8, key_features=4)
    pixels = jax.random.normal(jax.random.key(0), (1, 4, 6, 5))
    logits = jax.random.normal(jax.random.key(1), (1, 4, 6, 3))
    variables = jax.jit(module.init, static_argnames="train")(
        jax.random.key(2), pixels, logits, train=False
    )
    out = module.apply(variables, pixels, logits, train=False)
    swapped = module.apply(variables, pixels[:, ::-1], logits[:, ::-1], train=False)
    assert out.shape == (1, 4, 6, 8)
    np.testing.assert_allclose(swapped, out[:, ::-1], atol=1e-5)


def test_context_hears_far_pixels():
    module = ObjectContext(features=8, key_features=4)
    pixels = jax.random.normal(jax.random.key(0), (1, 4, 6, 5))
    logits = jax.random.normal(jax.random.key(1), (1, 4, 6, 3))
    variables = jax.jit(module.init, static_argnames="train")(
        jax.random.key(2), pixels, logits, train=False
    )

    def corner(pixels):
        return module.apply(variables, pixels, logits, train=False)[0, 0, 0].sum()

    assert np.abs(jax.grad(corner)(pixels)[0, 3, 5]).max() > 0
