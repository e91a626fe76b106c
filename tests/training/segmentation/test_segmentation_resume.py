"""Stage "segmentation", killed and started again."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from test_segmentation_stage import CLASSES, WINDOW, Halves

from wrp_jax.config import Config, SegmentationConfig, SegmentationOptimiser, SegmentationSampling
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.models.network import Network
from wrp_jax.runs.results import load_result
from wrp_jax.training.segmentation import pretrained, stage
from wrp_jax.types import SegmentationOutput

pytestmark = pytest.mark.stages
OPTIONS = SegmentationConfig(
    name="light",
    optimiser=SegmentationOptimiser(steps=5, batch_size=8, learning_rate=3e-2, ema_decay=0.5),
    sampling=SegmentationSampling(crop=(16, 16)),
)


class Net(nn.Module):
    """Two convolutions with what the real networks have: running statistics and dropout."""

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Conv(4, (3, 3))(images)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.2, deterministic=not train)(nn.relu(x))
        return nn.Conv(CLASSES.num_classes, (3, 3), name="logits")(x), x


@pytest.fixture
def toy(monkeypatch):
    net = Net()

    def apply(variables, images, train=False, rngs=None):
        if not train:
            return SegmentationOutput(*net.apply(variables, images))
        found, new = net.apply(variables, images, train=True, rngs=rngs, mutable="batch_stats")
        return SegmentationOutput(*found), new["batch_stats"]

    monkeypatch.setattr(
        stage, "build_for_classes", lambda options, classes: Network(net.init, apply)
    )


def train(workdir):
    source = Halves()
    known = KnownLabels(source, [WINDOW])
    stage.train_segmentation(Config(segmentation=OPTIONS), known, source, [WINDOW], workdir)
    return load_result(workdir, "segmentation")[0]


def test_killed_and_started_again_is_the_same(toy, tmp_path, interrupt, monkeypatch):
    whole = train(tmp_path / "whole")
    interrupt(stage, lambda: train(tmp_path / "parts"))
    assert not (tmp_path / "parts" / "segmentation.npz").exists()
    monkeypatch.setattr(pretrained, "start_file", None)  # weights to start from are not looked for
    parts = train(tmp_path / "parts")
    assert parts.keys() == {"params", "batch_stats"}
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    logged = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    assert '"step": 5' in logged[-1]
