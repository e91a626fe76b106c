"""What is kept along a training, its scores and their figure."""

import json

import jax.numpy as jnp
import numpy as np

from experiments import figure, learning_curve
from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.models.network import Network
from wrp_jax.runs.results import save_result
from wrp_jax.training.state import TrainState
from wrp_jax.types import ClassMap, SegmentationOutput, Window


class Halves:
    """A red half, and one that is green except for its lower half, which is red, too."""

    name = "halves"
    classes = ClassMap((0, 1), ("left", "right"), np.zeros((2, 3), np.uint8), (False, False))
    sequences = ("s",)

    def frame_names(self, sequence):
        return ("a",)

    label_names = frame_names

    def frame(self, sequence, name):
        picture = np.zeros((8, 8, 3), np.uint8)
        picture[:, :4, 0], picture[:4, 4:, 1], picture[4:, 4:, 0] = 200, 200, 200
        return picture

    def label(self, sequence, name):
        return np.repeat(np.arange(2, dtype=np.int32), 4)[None].repeat(8, 0)


def _red_and_green(variables, images, train=False, rngs=None):
    logits = variables["params"]["sign"] * images[..., :2]
    return SegmentationOutput(logits=logits, features=logits)


def test_weights_along_the_way_are_scored_and_drawn(tmp_path, monkeypatch):
    def toy_training(config, known, source, windows, workdir, eval_fn):
        variables = {}
        for step, sign in ((1, -1.0), (2, 1.0)):
            variables = {"params": {"sign": jnp.float32(sign)}, "batch_stats": {}}
            average = {"params": {"sign": jnp.float32(1.0)}, "batch_stats": {}}
            eval_fn(TrainState(jnp.int32(step), variables["params"], {}, None, average))
        save_result(workdir, "segmentation", variables, {})

    network = Network(lambda *_: {}, _red_and_green)
    monkeypatch.setattr(learning_curve, "train_segmentation", toy_training)
    monkeypatch.setattr(learning_curve, "load_segmentation", lambda *_: (network, {}))
    config, source, run = Config(), Halves(), tmp_path / "run"
    known = KnownLabels(source, [Window("s", "a", "a", "a")])
    learning_curve.train(config, known, source, run)
    monkeypatch.setattr(learning_curve, "train_segmentation", None)
    learning_curve.train(config, known, source, run)  # has nothing left to do

    curve = learning_curve.score(config, source, [("s", "a")], run)
    right = [66.67, 50.0]  # of 64 pixels 16 are called left, not right
    wrong = [0.0, 25.0]  # red is called right, green left
    for kind, expected in (("plain", [wrong, right]), ("average", [right, right])):
        assert list(curve[kind]) == [1, 2]
        found = [list(scores["iou"].values()) for scores in curve[kind].values()]
        np.testing.assert_allclose(found, expected, atol=0.01)

    *_, first, second = learning_curve.table(curve).splitlines()
    assert first == "| 1 | 58.3 | 12.5 | 66.7 | 50.0 |"
    assert second == "| 2 | 58.3 | 58.3 | 66.7 | 50.0 |"
    (run / "curve.json").write_text(json.dumps(curve))
    figure.main([str(tmp_path / "curve.svg"), f"ours={run}", f"last={run}:plain"])
    drawn = (tmp_path / "curve.svg").read_text()
    assert drawn.count("<polyline") == 2 and ">2</text>" in drawn and ">ours</text>" in drawn
