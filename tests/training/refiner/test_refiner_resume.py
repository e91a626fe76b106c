"""Stage "refiner": killed and started again; on one device and on eight."""

import jax
import numpy as np
import optax
import pytest
from training.refiner.toy_video import Source, segment, toy

from wrp_jax.config import Config, RefinerConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.runs.results import load_result
from wrp_jax.sharding import make_mesh
from wrp_jax.training.refiner import stage

pytestmark = pytest.mark.stages
OPTIONS = {
    "chooser": RefinerConfig(
        clips=1,
        crops=2,
        width=4,
        class_width=4,
        class_convs=1,
        steps=4,
        batch_size=8,
        learning_rate=0.1,
    ),
    "pix2pix": RefinerConfig(
        name="pix2pix", source="cycle", clips=4, steps=4, batch_size=8, learning_rate=0.01
    ),
}


@pytest.fixture(scope="module", params=OPTIONS)
def train(request):
    """``train(workdir)``: what the stage leaves there; f_θ and g_ψ are given."""
    data = toy(Source(np.random.default_rng(0)), "00")

    def train_refiner(workdir):
        stage.train_refiner(Config(refiner=OPTIONS[request.param]), *data, workdir)
        return load_result(workdir, "refiner")[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "motion_of", lambda config, workdir: zero_motion())
        patch.setattr(stage, "load_segmenter", lambda *arguments: segment)
        # Adam would make whole steps of the rounding in gradients that are zero.
        patch.setattr(stage, "make_optimizer", lambda rate, steps: optax.sgd(rate, momentum=0.9))
        yield train_refiner


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    """Trained at once, on all eight devices."""
    return train(tmp_path_factory.mktemp("whole"))


def test_killed_and_started_again_is_the_same(train, whole, tmp_path, interrupt):
    interrupt(stage, lambda: train(tmp_path))
    assert not (tmp_path / "refiner.npz").exists()
    parts = train(tmp_path)
    assert parts.keys() > {"params"}
    jax.tree.map(np.testing.assert_array_equal, whole, parts)


def test_one_device_is_eight(train, whole, tmp_path, monkeypatch):
    fit, mesh = stage.fit, make_mesh(jax.devices()[:1])
    monkeypatch.setattr(stage, "fit", lambda **arguments: fit(**arguments, mesh=mesh))
    alone = train(tmp_path)
    # Sums over devices are added in another order; Adam enlarges that where gradients are small,
    # on some processors up to 4e-6 after these steps.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), whole, alone)
