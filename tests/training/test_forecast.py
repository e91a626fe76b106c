"""The time of a training, foretold: arithmetic alone, no clock."""

import dataclasses

import jax
import numpy as np
import pytest

from wrp_jax.config import Config
from wrp_jax.data.arrays import ArraySource
from wrp_jax.data.class_map import class_map
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.models.network import Network
from wrp_jax.training import forecast
from wrp_jax.types import Window

CLASSES = class_map(["road", "car"])
SIZE = (360, 480)


@pytest.fixture
def config():
    config = Config()
    config.segmentation.network.width = config.refiner.width = config.refiner.class_width = 4
    config.segmentation.sampling.crop = (32, 32)
    config.segmentation.optimiser.steps = 10
    return config


def test_the_arithmetic_of_a_network_is_counted_without_running_it():
    def never(variables, image, train, rngs):
        return image @ variables, None

    def shape(*size):
        return jax.ShapeDtypeStruct(size, "float32")

    network = Network(lambda key: None, never)
    assert forecast.forward_flops(network, shape(5, 7), shape(3, 5)) == 2 * 3 * 5 * 7


def test_segmentation_goes_with_steps_crops_and_pixels(config, monkeypatch):
    monkeypatch.setattr(forecast, "forward_flops", lambda network, variables, image: image.size)

    def seconds(steps=10):
        return forecast.segmentation_seconds(config.segmentation, CLASSES, steps)

    once = seconds()
    assert once == pytest.approx(10 * 8 * 3 * (32 * 32 * 3) / forecast.FLOPS)
    assert seconds(30) == pytest.approx(3 * once)
    config.segmentation.optimiser.batch_size *= 2
    assert seconds() == pytest.approx(2 * once)
    config.segmentation.sampling.crop = (64, 64)
    assert seconds() == pytest.approx(8 * once)
    config.segmentation.name = "precomputed"
    assert seconds() == 0


def test_a_student_has_a_longer_epoch_and_each_stage_its_own_steps(config):
    config.motion_training.optimiser.steps, config.refiner.steps = 7, 8
    stages = ("motion", "segmentation", "refiner", "student")
    assert [forecast.steps_of(config, stage, 30) for stage in stages] == [7, 10, 8, 10]
    recipe = config.segmentation.optimiser
    recipe.steps, recipe.epochs = 0, 2
    config.student.epoch = 4.0
    assert forecast.steps_of(config, "segmentation", 32) == 2 * 32 / recipe.batch_size
    assert forecast.steps_of(config, "student", 32) == 2 * 4 * 32 / recipe.batch_size


@pytest.fixture
def frames():
    """``frames(size)``: a source of 9 frames of a size, its window around frame 2."""

    def make(size):
        shape = (9, *size, 3)
        source = ArraySource({"a": (np.broadcast_to(np.uint8(0), shape), {})}, ["road", "car"])
        names = source.frame_names("a")
        return source, [Window("a", names[2], names[0], names[-1])]

    return make


def test_the_refiner_goes_with_clips_and_steps(config, frames, monkeypatch):
    monkeypatch.setattr(forecast, "_refiner_step", lambda config, classes: 0.25)

    def seconds(size=SIZE, **options):
        changed = dataclasses.replace(config.refiner, **options)
        return forecast.refiner_seconds(
            dataclasses.replace(config, refiner=changed), CLASSES, *frames(size)
        )

    whole, without = seconds(), seconds(clips=0)
    assert whole - without == pytest.approx(72 * 11 * 360 * 480 * forecast.CLIP)
    # Larger frames are cropped before they are simulated.
    assert seconds((400, 600)) == pytest.approx(whole)
    assert seconds(clips=0, steps=config.refiner.steps // 2) == pytest.approx(without / 2)
    # Cycles run over whole frames: 1 or 2 away on one side, 1 to 6 on the other, and back.
    cycles = seconds((400, 600), source="cycle") - without
    assert cycles == pytest.approx(
        72 * (1 + (1.5 + 3.5) / 2) * 400 * 600 * forecast.CYCLE["chooser"]
    )
    assert seconds(source="both") == pytest.approx(whole + cycles * (360 * 480) / (400 * 600))


def test_a_chain_that_is_unrolled_takes_as_many_steps_of_its_network(config, monkeypatch):
    monkeypatch.setattr(forecast, "forward_flops", lambda *inputs: 1e9)
    config.refiner.name, config.refiner.max_cycle_length = "pix2pix", 3
    config.segmentation.name = "precomputed"
    alone = forecast._refiner_step(config, CLASSES)
    assert alone == pytest.approx(8 * 3e9 / forecast.FLOPS_OF["pix2pix"])
    carried = 8 * 6 * 64 * 64 * forecast.CHAINED
    config.refiner.learn_tau = True
    assert forecast._refiner_step(config, CLASSES) == pytest.approx(alone + carried)
    config.refiner.unrolled = True
    assert forecast._refiner_step(config, CLASSES) == pytest.approx(6 * alone + carried)


def test_motion_goes_with_steps_and_pixels(config, frames, monkeypatch):
    batches = []

    def cost(function, variables, batch):
        batches.append(batch)
        return 2 * forecast.FLOPS, forecast.BYTES

    monkeypatch.setattr(forecast, "_cost", cost)
    config.motion.name = "refined_dis"
    config.motion_training.sampling.crop = (64, 1000)
    source, _ = frames((100, 203))
    seconds = forecast.motion_seconds(config, source)
    pixels = 4 * 2 * 64 * 192  # within the frames, and what the network can halve
    assert seconds == pytest.approx(4000 * (3 * (2 + 1) + pixels * forecast.EXAMPLE))
    assert batches[0]["guess"].shape == (4, 1, 2, 64, 192, 2)
    config.motion.name, config.motion.flow = "sdcnet", "flownet2"
    assert forecast.motion_seconds(config, source) is None


def test_what_is_trained_or_begun_is_left_out(config, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "segmentation_seconds", lambda *arguments: 100.0)
    monkeypatch.setattr(forecast, "_refiner_step", lambda *arguments: 0.25)
    source = open_folder(folder)
    windows = windows_of_keyframes(source, None, 2)
    known = KnownLabels(source, windows)

    def said():
        return forecast.foretell(config, known, source, windows, tmp_path)

    config.segmentation.optimiser.steps = 500
    assert said().startswith("training takes about ") and "(segmentation " in said()
    with monkeypatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        assert said() == (
            "how long training takes on an accelerator is not known before its first steps"
        )
    config.motion.name = "raft_large"  # the time of a clip is that of its motion
    assert "refiner comes on top, and is not known" in said()
    (tmp_path / "checkpoints/segmentation/0").mkdir(parents=True)
    assert said() == "how long refiner takes is not known before the first steps"
    config.motion.name = "dis"
    assert "segmentation" not in said() and "(refiner " in said()
    config.refiner.steps = 2
    assert said() == ""
