import json

import numpy as np
import pytest
from PIL import Image

from wrp_jax.cli import propagate as command
from wrp_jax.config import Config
from wrp_jax.files.shards import Shard
from wrp_jax.labelling import run
from wrp_jax.labelling.request import Request
from wrp_jax.motion.still import zero_motion
from wrp_jax.propagation.results import FramePrediction
from wrp_jax.runs.networks import Networks

COLORS = np.array([[40, 80, 120], [200, 60, 30], [0, 0, 0]], np.uint8)
H, W = 24, 32


def scene(t):
    """A square that moves one pixel per frame; labels are class indices."""
    label = np.zeros((H, W), np.int32)
    label[8:16, 4 + t : 12 + t] = 1
    label[:2] = 2
    image = COLORS[label].astype(int) + np.random.default_rng(t).integers(0, 9, (H, W, 3))
    return np.clip(image, 0, 255).astype(np.uint8), label


@pytest.fixture
def make_folder(tmp_path):
    """``make_folder(sequences={name: frames}, labelled=…)`` writes a folder of video."""

    def make(sequences, labelled=lambda sequence, t: True, name="data"):
        root = tmp_path / name
        for sequence, count in sequences.items():
            (root / sequence / "frames").mkdir(parents=True)
            (root / sequence / "labels").mkdir()
            for t in range(count):
                image, label = scene(t)
                Image.fromarray(image).save(root / sequence / "frames" / f"{t:03d}.png")
                if labelled(sequence, t):
                    ids = np.array([0, 7, 9], np.uint8)[label]
                    Image.fromarray(ids).save(root / sequence / "labels" / f"{t:03d}.png")
        classes = [
            {"id": 0, "name": "road", "color": COLORS[0].tolist(), "void": False},
            {"id": 7, "name": "car", "color": COLORS[1].tolist(), "void": False},
            {"id": 9, "name": "void", "color": COLORS[2].tolist(), "void": True},
        ]
        (root / "classes.json").write_text(json.dumps({"classes": classes}))
        return root

    return make


@pytest.fixture
def config():
    config = Config()
    config.propagation.horizon = 2
    return config


def segment(clip, positions):
    """Reads classes off the colours."""
    frames = clip.stack(positions)
    distance = np.abs(frames[..., None, :].astype(np.float32) - COLORS).sum(-1)
    probs = np.exp(-distance / 20.0)
    probs /= probs.sum(-1, keepdims=True)
    return probs.astype(np.float32), np.zeros((len(frames), 6, 8, 4), np.float32)


class Unsure:
    """A refiner that takes the labelled frame's label where segmentation is not sure."""

    def label(self, config, window):
        for i in range(window.cues.count):
            probs = window.cues.section(i, i + 1).probs[0]
            sure = probs.max(-1)
            key = window.nearest(i)
            labels = np.where(sure > 0.99, probs.argmax(-1), key.label).astype(np.int32)
            yield FramePrediction(i, key.label if i == key.index else labels, sure)


@pytest.fixture
def networks():
    """Stands in for the trained ones."""
    return Networks(zero_motion(), segment, Unsure(), "fake")


@pytest.fixture
def label(root, tmp_path, config, monkeypatch):
    """``label("out", index, count)`` labels a shard of the folder ``root`` of the test's file.

    ``label.made`` are the spans it made.
    """
    made, original = [], run._label_window

    def counted(plan, job, *arguments):
        made.append(f"{job.window.sequence} {' '.join(job.window.keys)}")
        return original(plan, job, *arguments)

    monkeypatch.setattr(run, "_label_window", counted)

    def label(output="out", index=0, count=1, data=root, **more):
        made.clear()
        asked = {"method": "static", "shard": Shard(index, count), **more}
        request = Request(str(data), tmp_path / output, **asked)
        return command.propagate(config, request, workdir=None)

    label.made = made
    return label
