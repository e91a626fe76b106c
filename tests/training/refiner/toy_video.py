"""A still video of six frames, one of them labelled, and refiners trained on it."""

import jax
import numpy as np

from wrp_jax.config import Config
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.motion.still import zero_motion
from wrp_jax.training.refiner.examples.training_data import gather_training_data
from wrp_jax.training.state import create_train_state
from wrp_jax.types import ClassMap, Window

CLASSES = ClassMap((0, 1, 2), ("a", "b", "c"), np.zeros((3, 3), np.uint8), (False,) * 3)


class Source:
    """Six equal frames of noise under a blocky label, which is known of frame 02 alone."""

    name = "toy"
    classes = CLASSES
    sequences = ("s",)

    def __init__(self, rng, size=(40, 72)):
        self.image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
        blocks = rng.integers(0, 2, (size[0] // 8, size[1] // 8), dtype=np.int32)
        self.truth = blocks.repeat(8, 0).repeat(8, 1)

    def frame_names(self, sequence):
        return tuple(f"{i:02d}" for i in range(6))

    def label_names(self, sequence):
        return frozenset(self.frame_names(sequence))

    def frame(self, sequence, name):
        return self.image

    def label(self, sequence, name):
        assert name == "02", "a label that is not known was read"
        return self.truth


def segment(clip, positions):
    probs = np.full((len(positions), *clip.frame(0).shape[:2], 3), 0.2, np.float32)
    probs[..., 0] = 0.6
    return probs, np.zeros((len(positions), 5, 9, 4), np.float32)


def toy(source, first):
    windows = [Window("s", "02", first, "05")]
    return KnownLabels(source, windows), source, windows


def training_data(rng):
    source = Source(rng, (96, 104))

    def wide(clip, positions):
        probs, _ = segment(clip, positions)
        return probs, np.zeros((len(positions), 12, 13, 4), np.float32)

    known, _, windows = toy(source, "00")
    return gather_training_data(known, source, windows, zero_motion(), wide)


def config(**options):
    result = Config()
    small = {"clips": 1, "crops": 1, "width": 4, "class_width": 4, "class_convs": 1}
    for name, value in (small | options).items():
        setattr(result.refiner, name, value)
    return result


def train(setup, optimizer, steps, batch_size):
    """The state after some steps on the first examples, and the metrics of each step."""
    batch = jax.tree.map(lambda *a: np.stack(a), *setup.examples[:batch_size])
    state = create_train_state(setup.variables, optimizer, ema=True)
    step, found = jax.jit(setup.train_step), []
    for _ in range(steps):
        state, metrics = step(state, batch, jax.random.key(0))
        state = state.replace(step=state.step + 1)
        found.append({name: float(value) for name, value in metrics.items()})
    return state, found
