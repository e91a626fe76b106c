"""Labels carried by every kind of motion, as ``propagate.py`` carries them."""

from __future__ import annotations

import json

import golden_files
import jax
import numpy as np
import pytest
from PIL import Image

from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config
from wrp_jax.data.open_source import open_source
from wrp_jax.labelling.request import Request
from wrp_jax.motion.build import build_motion
from wrp_jax.motion.dump import dump
from wrp_jax.types import UserError
from wrp_jax.weights.safetensors_file import write_safetensors

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("compiled_for_users")]

COUNT = 4


@pytest.fixture
def video(tmp_path):
    """A textured picture that moves two pixels per frame to the right; the first is labelled."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (7, 12, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(wide).resize((80, 40), Image.Resampling.BICUBIC))
    label = (np.arange(80) > 40).astype(np.uint8) + np.zeros((40, 1), np.uint8)
    for kind in ("frames", "labels"):
        (tmp_path / "data" / "street" / kind).mkdir(parents=True)
    for t in range(COUNT):
        seen = np.s_[:, 12 - 2 * t : 68 - 2 * t]
        Image.fromarray(wide[seen]).save(tmp_path / f"data/street/frames/{t}.png")
        if t == 0:
            Image.fromarray(label[seen]).save(tmp_path / "data/street/labels/0.png")
    classes = [
        {"id": i, "name": n, "color": [90 * i, 9, 9], "void": False} for i, n in enumerate("ab")
    ]
    (tmp_path / "data" / "classes.json").write_text(json.dumps({"classes": classes}))
    return tmp_path / "data"


def labels(video, output, **motion):
    config = Config()
    for name, value in motion.items():
        setattr(config.motion, name, value)
    propagate(config, Request(str(video), output, method="motion-only"), workdir=None)
    paths = [output / "street" / "labels" / f"{t}.png" for t in range(COUNT)]
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def test_dumped_flow_carries_labels_as_the_motion_itself_does(video, tmp_path, capsys):
    direct = labels(video, tmp_path / "direct", name="dis", preset="medium")
    assert np.mean(direct[3] != direct[0]) > 0.05  # something moved
    config = Config().motion
    config.preset = "medium"
    source = open_source(str(video))
    dump(build_motion(config), source, tmp_path / "flow", suffix=".flo", apart=(1, 3))
    # Any frame that is not found among the files would stand still.
    options = {"name": "precomputed", "folder": str(tmp_path / "flow"), "flow": "zero"}
    np.testing.assert_array_equal(labels(video, tmp_path / "again", **options), direct)
    # Anew with other files: the finished labels are of the old ones.
    (tmp_path / "flow" / "street" / "forward" / "0.flo").touch()
    with pytest.raises(UserError, match="differs in networks"):
        labels(video, tmp_path / "again", **options)
    (tmp_path / "flow" / "street" / "forward" / "0.flo").unlink()
    with pytest.raises(UserError, match=r"forward/0\.flo is missing"):
        labels(video, tmp_path / "third", **options)
    assert not (tmp_path / "third").exists()


def test_raft_by_its_weights_on_one_device_and_on_eight(video, tmp_path, monkeypatch):
    path = tmp_path / "raft_small.safetensors"
    write_safetensors(path, golden_files.state_dict("raft_small"), {})
    options = {"name": "raft_small", "weights": str(path), "iterations": 2}
    many = labels(video, tmp_path / "many", **options)
    assert len(jax.local_devices()) == 8
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    one = labels(video, tmp_path / "one", **options)
    assert np.mean(one != many) < 1e-3
    with pytest.raises(UserError, match="raft_small has no weights"):
        labels(video, tmp_path / "none", name="raft_small")
    assert not (tmp_path / "none").exists()
