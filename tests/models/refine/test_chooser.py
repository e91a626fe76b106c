"""The chooser: never invents a class, treats all classes alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wrp_jax.models.refine.chooser import build_chooser


@pytest.fixture(params=[0, 2])
def case(request):
    rng = np.random.default_rng(0)
    network = build_chooser(width=8, class_width=8, class_convs=request.param)
    winner = rng.integers(0, 4, (1, 9, 11, 5))
    votes = jnp.eye(6)[winner]
    features = jnp.asarray(rng.normal(size=(1, 9, 11, 7)), jnp.float32)
    known = jnp.asarray(rng.normal(size=(1, 9, 11, 3, 6)), jnp.float32)
    variables = network.init(jax.random.key(1), votes, features, known)
    return network, variables, votes, features, known, winner


def test_output_is_one_of_the_hypotheses(case):
    network, variables, votes, features, known, winner = case
    chosen = np.asarray(network.apply(variables, votes, features, known)).argmax(-1)
    assert (chosen[..., None] == winner).any(-1).all()


def test_permuting_the_classes_permutes_the_scores(case):
    network, variables, votes, features, known, _ = case
    order = np.random.default_rng(1).permutation(6)
    logits = np.asarray(network.apply(variables, votes, features, known))
    permuted = network.apply(variables, votes[..., order], features, known[..., order])
    np.testing.assert_allclose(permuted, logits[..., order], atol=1e-5)


def test_more_empty_classes_change_nothing(case):
    network, variables, votes, features, known, _ = case
    logits = np.asarray(network.apply(variables, votes, features, known))
    wider, more = (jnp.pad(a, [(0, 0)] * 4 + [(0, 2)]) for a in (votes, known))
    np.testing.assert_allclose(
        network.apply(variables, wider, features, more)[..., :6], logits, atol=1e-5
    )
