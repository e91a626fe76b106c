"""A tiny training of each refiner from each source, and what the crops hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.refiner.toy_video import config, train, training_data

from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr
from wrp_jax.runs.refiner import load_refiner
from wrp_jax.runs.results import save_result
from wrp_jax.training.refiner import stage as refiner
from wrp_jax.training.refiner.chooser.crops import NO_LABEL, mirror, unpack
from wrp_jax.training.refiner.chooser.examples import chooser_examples
from wrp_jax.training.refiner.examples.generate import ExampleGenerator, generate_examples
from wrp_jax.types import UserError

pytestmark = pytest.mark.stages


def chooser_crops(data):
    options = config().refiner
    return generate_examples(options, 0, data, chooser_examples(data, options.crops))


@pytest.mark.parametrize(
    "name,source", [("chooser", "simulated"), ("chooser", "cycle"), ("pix2pix", "both")]
)
def test_a_training_step_lowers_the_loss_on_its_own_batch(rng, name, source):
    options = config(name=name, source=source)
    optimizer = refiner.make_optimizer(1e-2, 20)
    setup = refiner.make_setup(options, training_data(rng), optimizer)
    values = losses(setup, optimizer, 8)
    assert np.isfinite(values).all() and values[-1] < values[0], values


def test_labels_of_simulated_clips_are_drawn_as_precisely_as_asked(rng):
    data, generator = (
        training_data(rng),
        ExampleGenerator(object, lambda _, clip: [clip], lambda *_: []),
    )
    exact, drawn = (
        generate_examples(config(jitter=pixels).refiner, 0, data, generator)[0].labels
        for pixels in (0.0, 3.0)
    )
    np.testing.assert_array_equal(exact[1:], drawn[1:])
    assert 0.0 < (exact[0] != drawn[0]).mean() < 0.2


def losses(setup, optimizer, steps):
    _, metrics = train(setup, optimizer, steps, batch_size=4)
    return [values["loss"] for values in metrics]


def test_the_papers_omega_learns_from_the_features_of_hrnet(rng):
    hrnet = HrnetOcr(3, width=2, modules=(0, 0, 0), blocks=1)
    variables = jax.jit(hrnet.init)(jax.random.key(0), jnp.zeros((1, 96, 104, 3)))
    look = jax.jit(hrnet.apply)

    def segment(clip, positions):
        output = look(variables, clip.stack(positions).astype(np.float32) / 255)
        return np.asarray(jax.nn.softmax(output.logits)), np.asarray(output.features)

    data = training_data(rng)._replace(segment=segment)
    optimizer = refiner.make_optimizer(1e-2, 20)
    setup = refiner.make_setup(config(name="pix2pix", source="cycle"), data, optimizer)
    first = setup.examples[0]
    assert first.labels.shape[:2] == (96, 96) and first.features.shape == (12, 12, 512)
    values = losses(setup, optimizer, 4)
    assert values[-1] < values[0], values


def test_same_seed_same_examples(rng):
    data = training_data(rng)
    first, second = (chooser_crops(data) for _ in range(2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mirrored_crop_is_the_same_crop_seen_in_a_mirror(rng):
    crop = chooser_crops(training_data(rng))[0]
    turned = next(
        t for t in (mirror(crop, np.random.default_rng(i)) for i in range(20))
        if t is not crop
    )  # fmt: skip
    np.testing.assert_array_equal(turned.label[:, ::-1], crop.label)
    np.testing.assert_array_equal(turned.hypotheses.votes[:, ::-1], crop.hypotheses.votes)
    np.testing.assert_array_equal(turned.hypotheses.drift[:, ::-1], crop.hypotheses.drift)
    assert (crop.label != NO_LABEL).any()
    assert float(unpack(crop.hypotheses).votes.max()) <= 1.0


def test_weights_are_higher_for_rare_classes_with_a_mean_of_one(rng):
    data = training_data(rng)
    truth = data.source.truth
    share = np.bincount(truth.ravel(), minlength=3) / truth.size
    weights = data.class_weights
    np.testing.assert_allclose((weights * share).sum(), 1.0, rtol=1e-5)
    assert (weights[0] > weights[1]) == (share[0] < share[1])


def test_a_chooser_of_an_earlier_version_is_refused(rng, tmp_path):
    options, data = config(), training_data(rng)
    setup = refiner.make_setup(options, data, refiner.make_optimizer(1e-2, 20))
    metadata = {"classes": classes_to_json(data.known.classes)}
    whole = dict(setup.variables) | dict(setup.constants)
    save_result(tmp_path, "refiner", whole, metadata)
    trained = load_refiner(tmp_path, options, data.known.classes)
    np.testing.assert_array_equal(trained.reliability, data.reliability.overall)
    assert "reliability" not in trained.variables
    other = {**whole, "params": {**setup.variables["params"], "worth": np.ones(9)}}
    for earlier in (setup.variables, other):
        save_result(tmp_path, "refiner", earlier, metadata)
        with pytest.raises(UserError, match=r"earlier version.*checkpoints.refiner"):
            load_refiner(tmp_path, options, data.known.classes)
