"""The time of a training, foretold: arithmetic alone, no clock."""

import dataclasses

import jax
import pytest

from wrp_jax.config import Config
from wrp_jax.data.class_map import class_map
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.models.network import Network
from wrp_jax.training import forecast

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

    def seconds():
        return forecast.segmentation_seconds(config.segmentation, CLASSES, 1)

    once = seconds()
    assert once == pytest.approx(10 * 8 * 3 * (32 * 32 * 3) / forecast.FLOPS)
    config.segmentation.optimiser.steps *= 3
    assert seconds() == pytest.approx(3 * once)
    config.segmentation.optimiser.batch_size *= 2
    assert seconds() == pytest.approx(6 * once)
    config.segmentation.sampling.crop = (64, 64)
    assert seconds() == pytest.approx(24 * once)
    config.segmentation.optimiser.steps = 0  # so many for each labelled frame, in limits
    assert seconds() == pytest.approx(24 * once * 300 / 30)
    config.segmentation.name = "precomputed"
    assert seconds() == 0


def test_the_refiner_goes_with_clips_and_steps(config):
    options = config.refiner
    whole = forecast.refiner_seconds(options, SIZE)
    without = forecast.refiner_seconds(dataclasses.replace(options, clips=0), SIZE)
    assert whole - without == pytest.approx(72 * 11 * 360 * 480 * forecast.CLIP)
    # Larger frames are cropped before they are simulated.
    assert forecast.refiner_seconds(options, (2000, 3000)) == whole
    half = dataclasses.replace(options, clips=0, steps=options.steps // 2)
    assert forecast.refiner_seconds(half, SIZE) == pytest.approx(without / 2)
    assert forecast.refiner_seconds(dataclasses.replace(options, source="cycle"), SIZE) is None


def test_of_a_stage_that_is_not_foretold_nothing_is(config, monkeypatch):
    stages = ("segmentation", "refiner")
    found = forecast.stage_seconds(config, stages, CLASSES, SIZE, 1)
    assert list(found) == list(stages)
    assert all(seconds > forecast.COMPILING for seconds in found.values())
    assert forecast.stage_seconds(config, ("motion", *stages), CLASSES, SIZE, 1) is None
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert forecast.stage_seconds(config, stages, CLASSES, SIZE, 1) is None


def test_what_is_trained_or_begun_is_left_out(config, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "forward_flops", lambda *inputs: 1e9)
    source = open_folder(folder)
    windows = windows_of_keyframes(source, None, 2)
    known = KnownLabels(source, windows)

    def said():
        return forecast.foretell(config, known, source, windows, tmp_path)

    config.segmentation.optimiser.steps = 500
    assert said().startswith("training takes about ") and "(segmentation " in said()
    (tmp_path / "checkpoints/segmentation").mkdir(parents=True)
    assert "segmentation" not in said() and "(refiner " in said()
    config.refiner.steps = 2
    assert said() == ""
