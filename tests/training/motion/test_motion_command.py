"""configs/motion_video.py, sdcnet.py by the two commands: trained, stopped, gone on with, used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.open_source import open_source
from wrp_jax.runs.results import load_result

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[3]
OPTIONS = (
    "--config.motion.preset=ultrafast",
    "--config.motion_training.optimiser.steps=8",
    "--config.motion_training.optimiser.batch_size=2",
    "--config.motion_training.sampling.crop=(32,32)",
)
STOPPED = """
import os, runpy, signal, sys
from wrp_jax.training.motion.examples import VideoExamples

draw, calls = VideoExamples.draw, []

def counted(*arguments):
    calls.append(1)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGTERM)
    return draw(*arguments)

VideoExamples.draw = counted
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
"""


@pytest.fixture
def run(tmp_path):
    """``run(words, …)``: exit code and stderr of a program of its own in the project's root."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}

    def go(*words):
        result = subprocess.run(
            [sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True,
            text=True, timeout=900, check=False,
        )  # fmt: skip
        return result.returncode, result.stderr

    return go


def labelled_video(tmp_path, count, height, width):
    """Frames of this size, the second one labelled."""
    spec = f"synthetic:clips=1,frames={count},height={height},width={width},speed=1"
    clip = open_source(spec).clip("clip_000")
    folder = tmp_path / "D" / "a"
    for kind in ("frames", "labels"):
        (folder / kind).mkdir(parents=True)
    for i, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / "frames" / f"{i}.png")
    halves = np.arange(width) // (width // 2) + np.zeros((height, 1))
    Image.fromarray(halves.astype(np.uint8)).save(folder / "labels" / "1.png")
    classes = [{"id": i, "name": f"class{i}"} for i in range(2)]
    (folder.parent / "classes.json").write_text(json.dumps({"classes": classes}))
    return folder.parent


@pytest.fixture
def video(tmp_path):
    """Four frames of 40x56, the second one labelled."""
    return labelled_video(tmp_path, 4, 40, 56)


def test_train_stop_go_on_and_propagate(run, video, tmp_path):
    given = ("--config=configs/motion_video.py", f"--data={video}", *OPTIONS)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    code, error = run("train.py", *given, f"--workdir={whole}")
    assert code == 0, error
    code, error = run("-c", STOPPED, *given, f"--workdir={parts}")
    assert code == 4 and "stopped by SIGTERM after step" in error, error
    assert not (parts / "motion.npz").exists()
    code, error = run("train.py", *given, f"--workdir={parts}")
    assert code == 0, error
    first, second = (load_result(folder, "motion")[0]["params"] for folder in (whole, parts))
    for name in first:
        np.testing.assert_equal(first[name], second[name])

    code, error = run(
        "propagate.py", *given, f"--workdir={parts}", f"--output={tmp_path / 'out'}",
        "--method=motion-only",
    )  # fmt: skip
    assert code == 0, error
    labels = sorted((tmp_path / "out" / "a" / "labels").iterdir())
    assert [path.name for path in labels] == ["0.png", "1.png", "2.png", "3.png"]
    assert all(set(np.unique(np.array(Image.open(path)))) == {0, 1} for path in labels)

    Image.fromarray(np.zeros((40, 56, 3), np.uint8)).save(video / "a" / "frames" / "0.png")
    code, error = run("train.py", *given, f"--workdir={parts}")
    assert code == 2 and "parts was trained on other frames" in error, error


def test_sdcnet_without_flownet2(run, tmp_path):
    video, workdir = labelled_video(tmp_path, 4, 64, 72), tmp_path / "run"
    given = (
        "--config=configs/sdcnet.py", f"--data={video}", f"--workdir={workdir}",
        "--config.motion.preset=ultrafast", "--config.motion_training.optimiser.steps=2",
        "--config.motion_training.optimiser.batch_size=1",
        "--config.motion_training.sampling.crop=(64,64)",
    )  # fmt: skip
    code, error = run("train.py", *given)
    assert code == 0, error
    metrics = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["step"] == 2 and 0 < metrics[-1]["loss"] < np.inf
    assert (workdir / "motion.safetensors").exists()
    code, error = run(
        "propagate.py", *given, f"--output={tmp_path / 'out'}", "--method=motion-only"
    )
    assert code == 0, error
    for index in range(4):
        labels = np.array(Image.open(tmp_path / "out" / "a" / "labels" / f"{index}.png"))
        assert labels.shape == (64, 72) and set(np.unique(labels)) == {0, 1}
