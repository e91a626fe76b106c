from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.motion.padding import Padding, padding_for


def test_modes_put_the_rows_where_the_published_code_does():
    assert padding_for(131, 197, 8) == Padding(2, 3, 1, 2)
    assert padding_for(131, 197, 8, mode="kitti") == Padding(0, 5, 1, 2)
    assert padding_for(128, 192, 8) == Padding(0, 0, 0, 0)
    assert padding_for(30, 50, 8, smallest=64) == Padding(17, 17, 7, 7)
    with pytest.raises(ValueError, match="sintel or kitti"):
        padding_for(8, 8, 8, mode="same")


@pytest.mark.parametrize("mode", ["sintel", "kitti"])
@pytest.mark.parametrize("size", [(1, 1), (63, 65), (64, 128)])
def test_crop_undoes_pad(mode, size):
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, *size, 3)))
    padding = padding_for(*size, 64, mode=mode)
    padded = padding.pad(image)
    assert padded.shape[1] % 64 == padded.shape[2] % 64 == 0
    np.testing.assert_array_equal(padding.crop(padded), image)
    np.testing.assert_array_equal(padded[:, 0, 0], image[:, 0, 0])
    np.testing.assert_array_equal(padded[:, -1, -1], image[:, -1, -1])
