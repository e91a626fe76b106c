"""Every configs/segment_*.py: built, and its first step traced on a folder of tiny pictures."""

import functools
import importlib.util
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.public_sets.convert import PUBLIC_SETS
from wrp_jax.models.segmentation.build import build_segmentation
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr
from wrp_jax.training.segmentation.crops import CropBatch, build_crop_dataset
from wrp_jax.training.segmentation.recipe import (
    epoch_steps,
    make_loss,
    make_optimizer,
    number_of_steps,
)
from wrp_jax.training.segmentation.stage import make_train_step
from wrp_jax.training.state import create_train_state

pytestmark = pytest.mark.stages

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("segment_*.py"))


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    """Three labelled pictures of 40x60."""
    root = tmp_path_factory.mktemp("stills")
    rng = np.random.default_rng(0)
    for kind, shape in (("frames", (40, 60, 3)), ("labels", (40, 60))):
        (root / "a" / kind).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 3, shape, np.uint8)
            Image.fromarray(pixels).save(root / "a" / kind / f"{i}.png")
    classes = [{"id": i, "name": f"class{i}"} for i in range(3)]
    (root / "classes.json").write_text(json.dumps({"classes": classes}))
    source = open_folder(root)
    return source, KnownLabels(source, (), [(source, [("a", str(i)) for i in range(3)])])


@pytest.fixture(scope="module")
def traced():
    return set()


def test_there_is_one_for_each_data_set():
    names = ["apolloscape", "camvid", "cityscapes", "folder", "kitti", "mapillary", "nyuv2"]
    assert [path.stem.removeprefix("segment_") for path in CONFIGS] == names


def test_public_data_sets_are_read_by_the_command_they_name():
    named = [re.findall(r"wrp convert --set=(\S+)", path.read_text()) for path in CONFIGS]
    others = {"mapillary_v2.0", "camvid_32"}  # other classes of a set that is named
    assert set().union(*named) == set(PUBLIC_SETS) - others


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_first_step(path, stills, traced, monkeypatch):
    shallow = functools.partial(HrnetOcr, modules=(1, 1, 1), blocks=1)  # traced in a quarter
    monkeypatch.setattr("wrp_jax.models.segmentation.build.HrnetOcr", shallow)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    assert config.stages == ("segmentation",) and f"--config=configs/{path.name}" in module.__doc__
    options = config.segmentation
    recipe = options.optimiser
    recipe.batch_size = 2
    source, known = stills
    dataset = build_crop_dataset(options, known, source, ())
    crop = dataset.draw(0, np.random.default_rng(0))
    assert crop.image.shape == (48, 64, 3) or crop.image.shape == (options.sampling.crop[0], 64, 3)
    steps, epoch = number_of_steps(recipe, 3), epoch_steps(recipe, 3)
    assert steps >= 300
    kind = (options.name, recipe.loss, recipe.single_scale_weight, recipe.ema_decay)
    if (kind, crop.image.shape) in traced:
        return  # the program of another config
    traced.add((kind, crop.image.shape))
    optimizer = make_optimizer(recipe, steps, epoch)
    network = build_segmentation(options, 3)
    loss = make_loss(recipe, jnp.ones(3))
    step = make_train_step(network, optimizer, loss, ema_decay=recipe.ema_decay)

    def first(key, batch):
        variables = network.init(key, jnp.zeros((1, *crop.image.shape)))
        state = create_train_state(variables, optimizer, ema=recipe.ema_decay > 0)
        return state, *step(state, batch, key)

    batch = CropBatch(*(np.stack([x, x]) for x in crop))
    before, after, metrics = jax.eval_shape(first, jax.random.key(0), batch)
    assert metrics["loss"].shape == () and (after.ema is None) == (recipe.ema_decay == 0)
    shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), s.params) for s in (before, after)]
    assert shapes[0] == shapes[1]
