"""A tiny training of each refiner from each source, and what the crops hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_cycle import Source, segment, toy

from wrp_jax.config import Config
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.models.segmentation.hrnet_ocr import HrnetOcr
from wrp_jax.motion.still import zero_motion
from wrp_jax.runs.results import save_result
from wrp_jax.training.refiner import stage as refiner
from wrp_jax.training.refiner.chooser import chooser_maker, mirror
from wrp_jax.training.refiner.crops import NO_LABEL, unpack
from wrp_jax.training.refiner.examples import Maker, gather_material, make_examples
from wrp_jax.training.state import create_train_state
from wrp_jax.types import UserError


def material(rng):
    source = Source(rng, (96, 104))

    def wide(clip, positions):
        probs, _ = segment(clip, positions)
        return probs, np.zeros((len(positions), 12, 13, 4), np.float32)

    known, _, windows = toy(source, "00")
    return gather_material(known, source, windows, zero_motion(), wide)


def config(**options):
    result = Config()
    for name, value in dict(
        clips=1, crops=1, width=4, class_width=4, class_convs=1, **options
    ).items():
        setattr(result.refiner, name, value)
    return result


def chooser_examples(stuff):
    options = config().refiner
    return make_examples(options, 0, stuff, chooser_maker(stuff, options.crops))


@pytest.mark.parametrize(
    "name,source", [("chooser", "simulated"), ("chooser", "cycle"), ("pix2pix", "both")]
)
def test_a_training_step_lowers_the_loss_on_its_own_batch(rng, name, source):
    options = config(name=name, source=source)
    optimizer = refiner.make_optimizer(1e-2, 20)
    course = refiner.make_course(options, material(rng), optimizer)
    values = losses(course, optimizer, 8)
    assert np.isfinite(values).all() and values[-1] < values[0], values


def test_labels_of_simulated_clips_are_drawn_as_precisely_as_told(rng):
    stuff, maker = material(rng), Maker(lambda _, clip: [clip], lambda *_: [])
    exact, drawn = (
        make_examples(config(jitter=pixels).refiner, 0, stuff, maker)[0].labels
        for pixels in (0.0, 3.0)
    )
    np.testing.assert_array_equal(exact[1:], drawn[1:])
    assert 0.0 < (exact[0] != drawn[0]).mean() < 0.2


def train(course, optimizer, steps, batch_size):
    """The state after some steps on the first examples, and the metrics of each step."""
    batch = jax.tree.map(lambda *a: np.stack(a), *course.examples[:batch_size])
    state = create_train_state(course.variables, optimizer, ema=True)
    step, found = jax.jit(course.train_step), []
    for _ in range(steps):
        state, metrics = step(state, batch, jax.random.key(0))
        state = state.replace(step=state.step + 1)
        found.append({name: float(value) for name, value in metrics.items()})
    return state, found


def losses(course, optimizer, steps):
    _, metrics = train(course, optimizer, steps, batch_size=4)
    return [values["loss"] for values in metrics]


def test_the_papers_omega_learns_from_the_features_of_hrnet(rng):
    hrnet = HrnetOcr(3, width=2, modules=(0, 0, 0), blocks=1)
    variables = jax.jit(hrnet.init)(jax.random.key(0), jnp.zeros((1, 96, 104, 3)))
    look = jax.jit(hrnet.apply)

    def segment(clip, positions):
        output = look(variables, clip.stack(positions).astype(np.float32) / 255)
        return np.asarray(jax.nn.softmax(output.logits)), np.asarray(output.features)

    stuff = material(rng)._replace(segment=segment)
    optimizer = refiner.make_optimizer(1e-2, 20)
    course = refiner.make_course(config(name="pix2pix", source="cycle"), stuff, optimizer)
    first = course.examples[0]
    assert first.labels.shape[:2] == (96, 96) and first.features.shape == (12, 12, 512)
    values = losses(course, optimizer, 4)
    assert values[-1] < values[0], values


def test_same_seed_same_examples(rng):
    stuff = material(rng)
    first, second = (chooser_examples(stuff) for _ in range(2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mirrored_crop_is_the_same_crop_seen_in_a_mirror(rng):
    crop = chooser_examples(material(rng))[0]
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
    stuff = material(rng)
    truth = stuff.source.truth
    share = np.bincount(truth.ravel(), minlength=3) / truth.size
    weights = stuff.class_weights
    np.testing.assert_allclose((weights * share).sum(), 1.0, rtol=1e-5)
    assert (weights[0] > weights[1]) == (share[0] < share[1])


def test_unknown_source_is_a_users_mistake(rng):
    with pytest.raises(UserError, match="simulated, cycle or both"):
        refiner.make_course(config(source="magic"), material(rng), refiner.make_optimizer(1e-3, 2))


def test_a_chooser_of_an_earlier_version_is_refused(rng, tmp_path):
    options, stuff = config(), material(rng)
    course = refiner.make_course(options, stuff, refiner.make_optimizer(1e-2, 20))
    metadata = {"classes": classes_to_json(stuff.known.classes)}
    whole = dict(course.variables) | dict(course.constants)
    save_result(tmp_path, "refiner", whole, metadata)
    trained = refiner.load_refiner(tmp_path, options, stuff.known.classes)
    np.testing.assert_array_equal(trained.reliability, stuff.measured.overall)
    assert "reliability" not in trained.variables
    other = {**whole, "params": {**course.variables["params"], "worth": np.ones(9)}}
    for earlier in (course.variables, other):
        save_result(tmp_path, "refiner", earlier, metadata)
        with pytest.raises(UserError, match=r"earlier version.*checkpoints.refiner"):
            refiner.load_refiner(tmp_path, options, stuff.known.classes)
