"""Each set of a mixture is augmented by its own ranges."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from wrp_jax.config import Config, MotionOptimiser, MotionSampling, MotionTrainingConfig
from wrp_jax.data.open_source import open_source
from wrp_jax.training.motion import examples
from wrp_jax.training.motion.examples import pair_examples
from wrp_jax.training.motion.mixture import augmentation, further_set
from wrp_jax.types import UserError

CONFIGS = Path(__file__).parents[3] / "configs"
OPTIONS = MotionSampling(scale=(-0.2, 0.6), sparse=True)


def test_an_entry_says_what_is_its_own():
    plain = further_set("3 tfds:a/b:train@my flows/scale", OPTIONS)
    assert plain[:2] == (3, "tfds:a/b:train@my flows/scale")
    assert plain.options == MotionSampling(scale=(-0.2, 0.6), sparse=False)
    own = further_set(
        " 20 D sparse  scale=-0.3,0.5 flips=0.5,0 jitter=0.3 hue=0.1 erase=0", OPTIONS
    )
    assert own[:2] == (20, "D")
    assert own.options == MotionSampling(
        sparse=True, scale=(-0.3, 0.5), flips=(0.5, 0.0), jitter=0.3, hue=0.1, erase=0.0
    )


def test_the_sintel_mixture_is_the_published_one():
    """princeton-vl/RAFT, core/datasets.py, and the defaults of core/utils/augmentor.py."""
    path = CONFIGS / "raft_sintel.py"
    text, stage = (
        path.read_text(),
        runpy.run_path(str(path))["get_config"]().motion_training.sampling,
    )
    found = {}
    for entry in re.findall(r"'(\d[^']*)'", text.split("sampling.mix")[1]):
        further = further_set(" ".join(entry.split()), stage)
        found[further.spec.split(":")[1]] = (further.count, augmentation(further.options, (8, 8)))
    dense, sparse = (0.4, 0.4, 0.4, 0.5 / np.pi), (0.3, 0.3, 0.3, 0.3 / np.pi)
    published = {
        "sintel_flow/clean": (99, (-0.2, 0.6), (0.5, 0.1), dense, False),
        "sintel_flow/final": (100, (-0.2, 0.6), (0.5, 0.1), dense, False),
        "kitti_flow": (200, (-0.3, 0.5), (0.5, 0), sparse, True),
        "hd1k_flow": (5, (-0.5, 0.2), (0.5, 0), sparse, True),
        "flying_things3d/cleanpass": (1, (-0.2, 0.6), (0.5, 0.1), dense, False),
    }
    assert set(found) == set(published)
    for name, (count, scale, flips, jitter, is_sparse) in published.items():
        times, how = found[name]
        assert (times, how.scale, how.flips, how.sparse) == (count, scale, flips, is_sparse), name
        np.testing.assert_allclose(how.jitter, jitter, atol=1e-3)
        assert (how.asymmetric, how.stretching) == ((0, 0) if is_sparse else (0.2, 0.8))


@pytest.mark.parametrize(
    ("name", "steps", "batch", "rate", "decay", "crop", "gamma", "frozen", "sparse"),
    [
        ("chairs", 100_000, 10, 4e-4, 1e-4, (368, 496), 0.8, False, False),
        ("things", 100_000, 6, 1.25e-4, 1e-4, (400, 720), 0.8, True, False),
        ("sintel", 100_000, 6, 1.25e-4, 1e-5, (368, 768), 0.85, True, False),
        ("kitti", 50_000, 6, 1e-4, 1e-5, (288, 960), 0.85, True, True),
    ],
)
def test_the_stages_are_the_published_ones(
    name, steps, batch, rate, decay, crop, gamma, frozen, sparse
):
    """princeton-vl/RAFT, train_standard.sh."""
    config = runpy.run_path(str(CONFIGS / f"raft_{name}.py"))["get_config"]()
    assert config.stages == ("motion",) and config.motion.name == "raft_large"
    stage = config.motion_training
    recipe, sampling = stage.optimiser, stage.sampling
    assert (recipe.loss, recipe.schedule, recipe.clip) == ("sequence", "one_cycle", 1.0)
    assert (recipe.steps, recipe.batch_size, sampling.crop) == (steps, batch, crop)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.gamma) == (rate, decay, gamma)
    assert (stage.iterations, stage.freeze_batch_norm, sampling.sparse) == (12, frozen, sparse)


def test_every_pair_is_augmented_as_its_set(monkeypatch):
    one, two = (f"synthetic:clips=1,frames={n},height=48,width=56" for n in (2, 3))
    stage = MotionTrainingConfig(
        optimiser=MotionOptimiser(loss="sequence"),
        sampling=MotionSampling(
            crop=(32, 32), flying=0.5, mix=(f"2 {two} sparse scale=0,0.1 erase=0",)
        ),
    )
    seen, augment = {}, examples.augment

    def watched(rng, pair, options):
        seen[index] = (options.scale, options.erase, options.sparse)
        return augment(rng, pair, options)

    monkeypatch.setattr(examples, "augment", watched)
    drawn = pair_examples(Config(motion_training=stage), open_source(one), 8, None)
    assert len(drawn) == 2 + 2 * 4 + 10
    for index in (0, 1, 2, 9, 10, 19):
        drawn.draw(index, np.random.default_rng(index))
    usual, own = ((-0.2, 0.5), 0.5, False), ((0, 0.1), 0, True)
    assert [seen[k] for k in (0, 1, 2, 9, 10, 19)] == [usual] * 2 + [own] * 2 + [usual] * 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("chairs", "write 'COUNT SPEC'"),
        ("0 chairs", "write 'COUNT SPEC'"),
        ("2 sparse", "write 'COUNT SPEC'"),
        ("2 chairs scale=0.3", "give scale two numbers"),
        ("2 chairs jitter=much", "give jitter a number"),
    ],
)
def test_what_is_not_written_so_is_refused(entry, message):
    with pytest.raises(UserError, match=message) as error:
        further_set(entry, OPTIONS)
    assert "\n" not in str(error.value)
