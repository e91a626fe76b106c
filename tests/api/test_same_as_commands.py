"""Arrays through the API give the bytes that ``train.py`` and ``propagate.py`` write."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[2]
FRAMES, KEYS = 7, (1, 5)
CONFIG = """
from wrp_jax.config import Config

def get_config(refiner="chooser"):
    config = Config()
    config.segmentation.name, config.motion.preset = "light", "ultrafast"
    config.propagation.horizon = 3
    config.segmentation.network.width, config.segmentation.inference.flip = 4, False
    config.segmentation.optimiser.steps = config.segmentation.optimiser.batch_size = 2
    config.segmentation.sampling.crop = (16, 16)
    options = config.refiner
    options.clips, options.crops, options.steps, options.batch_size = 2, 1, 2, 2
    options.width = options.class_width = 4
    options.class_convs = 1
    if refiner == "pix2pix":
        options.name, options.source = "pix2pix", "cycle"
    return config
"""
API = """
import sys
import numpy as np
import wrp_jax
from short import get_config

data = np.load("clip.npz")
labels = {int(k): data["labels"][k] for k in data["keys"]}
classes = {0: "road", 7: "car", 9: "sky", 12: "void"}
fitted = wrp_jax.fit(data["frames"], labels, classes, config=get_config(sys.argv[1]), workdir="api")
model = wrp_jax.load("api")
for method in model.methods:
    found = [wrp_jax.collect(m.propagate(data["frames"], labels, method=method))
             for m in (fitted, model)]
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)
    np.savez(f"{method}.npz", **found[0]._asdict())
sys.exit(0)
"""


@pytest.fixture
def clip(rng):
    """A car that drives past under the sky."""
    colors = np.array([[40, 80, 120], [200, 60, 30], [220, 220, 220], [0, 0, 0]])
    ids = np.array([0, 7, 9, 12], np.uint8)
    labels = np.zeros((FRAMES, 17, 31), np.int64)
    for t in range(FRAMES):
        labels[t, :3], labels[t, 5:12, 4 + 2 * t : 12 + 2 * t], labels[t, 14:, :4] = 2, 1, 3
    noise = rng.integers(-20, 21, (17, 31, 3))
    return np.clip(colors[labels] + noise, 0, 255).astype(np.uint8), ids[labels]


def write_folder(root, frames, labels):
    for kind in ("frames", "labels"):
        (root / "video" / kind).mkdir(parents=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(root / "video" / "frames" / f"{t:06d}.png")
    for t in KEYS:
        Image.fromarray(labels[t]).save(root / "video" / "labels" / f"{t:06d}.png")
    names = {0: "road", 7: "car", 9: "sky", 12: "void"}
    classes = [{"id": i, "name": n, "void": n == "void"} for i, n in names.items()]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The process that all programs are forked from, and the folder of those of this test."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "short.py").write_text(CONFIG)
    (programs / "api.py").write_text(API)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "user_input" / "command_server.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(programs)]),
             "JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    yield process, programs
    process.communicate()


@pytest.mark.parametrize("refiner", ["chooser", "pix2pix"])
def test_both_ways_give_the_same_bytes(server, tmp_path, clip, refiner):
    frames, labels = clip
    write_folder(tmp_path / "D", frames, labels)
    np.savez(tmp_path / "clip.npz", frames=frames, labels=labels.astype(np.int32), keys=KEYS)
    process, programs = server
    flags = [f"--config={programs / 'short.py'}:{refiner}", "--data=D", "--workdir=RUN"]
    for words in (
        ["train.py", *flags],
        ["propagate.py", *flags, "--output=OUT"],
        ["propagate.py", *flags, "--output=VOTED", "--method=flow-voting"],  # not one of all
        [str(programs / "api.py"), refiner],
    ):
        process.stdin.write(json.dumps([str(tmp_path), words]) + "\n")
        process.stdin.flush()
        code, _, error = json.loads(process.stdout.readline())
        assert code == 0, error

    methods = [path.stem for path in tmp_path.glob("*-*.npz")] + ["static"]
    assert len(methods) == 7
    for method in methods:
        result = np.load(tmp_path / f"{method}.npz")
        assert result["frames"].tolist() == list(range(FRAMES))
        places = {"warp-refine": "OUT", "flow-voting": "VOTED"}
        out = tmp_path / places.get(method, f"OUT/methods/{method}") / "video"
        for t in range(FRAMES):
            label = np.array(Image.open(out / "labels" / f"{t:06d}.png"))
            grey = np.array(Image.open(out / "confidence" / f"{t:06d}.png"))
            np.testing.assert_array_equal(result["labels"][t], label, err_msg=f"{method} {t}")
            np.testing.assert_array_equal(np.rint(result["confidence"][t] * 255), grey)
    refined, moved = (np.load(tmp_path / f"{m}.npz")["labels"] for m in ("warp-refine", "static"))
    assert not np.array_equal(refined, moved)
