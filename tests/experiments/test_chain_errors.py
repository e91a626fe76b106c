"""Errors at the ends of cycles and of open chains, on a video where one label alone changes."""

import numpy as np
import pytest
from training.refiner.toy_video import CLASSES

from experiments.chain_errors import chain_errors
from wrp_jax.config import PropagationConfig
from wrp_jax.motion.still import zero_motion
from wrp_jax.types import Window


class Source:
    """Five grey frames; a quarter of the last one is another class."""

    name = "toy"
    classes = CLASSES
    sequences = ("s",)

    def frame_names(self, sequence):
        return ("0", "1", "2", "3", "4")

    def label_names(self, sequence):
        return frozenset({"2", "4"})

    def frame(self, sequence, name):
        return np.full((16, 32, 3), 90, np.uint8)

    def label(self, sequence, name):
        label = np.zeros((16, 32), np.int32)
        label[0] = -1
        if name == "4":
            label[8:, 16:] = 1
        return label


def _segment(clip, positions):
    probs = np.zeros((len(positions), 16, 32, 3), np.float32)
    probs[:, :, :24, 0] = probs[:, :, 24:, 1] = 1.0
    return probs, np.zeros((len(positions), 2, 4, 4), np.float32)


def test_a_cycle_brings_back_its_label_where_an_open_chain_does_not():
    found = chain_errors(
        Source(), [Window("s", "2", "0", "4")], zero_motion(), _segment,
        PropagationConfig(carrier="hard", mask="paper"), lengths=(1,),
    )  # fmt: skip
    assert found["2"]["cycle"] == {"wrong": 0.0, "segmentation": 0.0}
    # Of 15 labelled rows; g_ψ is right about half of the other class.
    assert found["2"]["open"]["wrong"] == pytest.approx(100 * 8 * 16 / (15 * 32))
    assert found["2"]["open"]["segmentation"] == pytest.approx(50.0)
