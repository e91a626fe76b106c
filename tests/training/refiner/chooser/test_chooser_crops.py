import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.propagation.chooser.hypotheses import HYPOTHESES, Hypotheses, LongFlows, compact, guess
from wrp_jax.training.refiner.chooser.chain_states import chain_states
from wrp_jax.training.refiner.chooser.crops import (
    CANDIDATES,
    CROP,
    NO_LABEL,
    cut_crops,
    pack,
    unpack,
)
from wrp_jax.types import ClipCues

CLASSES = 3
SAID = len(HYPOTHESES) - 2  # hypotheses that can be in dispute: without the look-ups


def chain_state(rng, height, width, *, flow=4.0, agree=False):
    """A chain of two steps over random frames, flows and predictions."""

    def smooth(*shape):
        return jax.image.resize(rng.random((shape[0], 9, 9, shape[-1])), shape, "cubic")

    n = 3
    label = np.asarray(smooth(1, height, width, CLASSES))[0].argmax(-1)
    probs = np.asarray(jax.nn.softmax(20 * smooth(n, height, width, CLASSES)))
    flows = [flow * (np.asarray(smooth(n - 1, height, width, 2)) - 0.5) for _ in range(5)]
    if agree:
        flows = [np.zeros_like(f) for f in flows]
        probs = np.repeat(np.eye(CLASSES)[label][None], n, 0)
    frames = np.round(255 * np.clip(smooth(n, height, width, 3), 0, 1)).astype(np.uint8)
    rest = [np.asarray(a, np.float32) for a in (*flows[:2], probs, np.zeros((n, 1, 1, 1)))]
    clip = ClipCues(frames, *rest)
    long = LongFlows(*(np.asarray(f[:, None], np.float32) for f in flows[2:]))
    orders = np.arange(n)[None]
    return next(chain_states(clip, long, orders, label, frozenset({2}))), label


def crops_of(rng, at, label, count, **options):
    weights, trust = np.ones(CLASSES, np.float32), np.ones((CLASSES, 2), np.float32)
    return list(cut_crops(rng, at, label, weights, trust, count=count, **options))


def test_a_crop_is_that_part_of_the_guesses_at_the_whole_frame(rng):
    at, label = chain_state(rng, 110, 130)
    whole = unpack(pack(jax.jit(guess)(at.carry, at.cues)))
    for crop in crops_of(rng, at, label, 8):
        told = unpack(crop.hypotheses)
        # Candidates are sorted by their votes; three classes and one place of padding are active.
        kept = np.argsort(-np.asarray(crop.hypotheses.votes).max(-2).astype(int).sum((0, 1)))
        assert (kept == np.arange(CANDIDATES)).all()
        found = [
            (y, x)
            for y in range(110 - CROP + 1)
            for x in range(130 - CROP + 1)
            if np.array_equal(whole.image[0, y : y + CROP, x : x + CROP], told.image)
        ]
        ((y, x),) = found
        part = Hypotheses(*(a[0, y : y + CROP, x : x + CROP] if a.ndim > 1 else a for a in whole))
        for name in ("error", "valid", "drift", "age", "spread", "speed"):
            np.testing.assert_allclose(
                getattr(told, name), getattr(part, name), atol=2e-3, err_msg=name
            )
        order = np.argsort(-np.asarray(part.votes * 255).round().max(-2).sum((0, 1)), kind="stable")
        votes = np.asarray(part.votes)[..., order]
        np.testing.assert_allclose(told.votes[..., : votes.shape[-1]], votes, atol=1 / 255 + 1e-6)
        truth = label[y : y + CROP, x : x + CROP]
        np.testing.assert_array_equal(order[crop.label], truth)
        assert told.distance.item() == 2


def test_crops_lie_where_hypotheses_differ(rng):
    at, label = chain_state(rng, 150, 170, agree=True)
    votes = np.asarray(at.cues.cues.probs)[0].copy()
    row, column = 100, 120
    votes[row, column] = np.roll(votes[row, column], 1)  # a single pixel in dispute
    short = at.cues.cues._replace(probs=jnp.asarray(votes[None]))
    at = at._replace(cues=at.cues._replace(cues=short))
    for crop in crops_of(rng, at, label, 12, disputed=1.0):
        winner = np.asarray(crop.hypotheses.votes)[..., :SAID, :].argmax(-1)
        assert (winner != winner[..., :1]).any(-1).sum() == 1
    anywhere = crops_of(rng, at, label, 30, disputed=0.0)
    assert len({crop.hypotheses.image.tobytes() for crop in anywhere}) > 10


@pytest.mark.parametrize("size", [(17, 31), (40, 90), (70, 64)])
def test_small_frames_are_mirrored_up_to_a_crop(rng, size):
    at, label = chain_state(rng, *size)
    for crop in crops_of(rng, at, label, 3):
        assert crop.label.shape == (CROP, CROP)
        assert crop.hypotheses.votes.shape == (CROP, CROP, 9, CANDIDATES)
        assert (crop.label != NO_LABEL).all()
        height = min(size[0], CROP)
        again = min(2 * height, CROP) - height
        image = crop.hypotheses.image
        np.testing.assert_array_equal(image[height : height + again], image[:height][::-1][:again])


def test_padded_places_of_the_active_classes_become_zero():
    array = np.arange(12.0).reshape(3, 4)
    active = np.array([3, 0, -1], np.int32)
    np.testing.assert_array_equal(compact(array, active), [[3, 0, 0], [7, 4, 0], [11, 8, 0]])
    np.testing.assert_array_equal(array, np.arange(12.0).reshape(3, 4))
