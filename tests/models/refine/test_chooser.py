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
    variables = network.init(jax.random.key(1), votes, features)
    return network, variables, votes, features, winner


def test_output_is_one_of_the_hypotheses(case):
    network, variables, votes, features, winner = case
    chosen = np.asarray(network.apply(variables, votes, features)).argmax(-1)
    assert (chosen[..., None] == winner).any(-1).all()


def test_permuting_the_classes_permutes_the_scores(case):
    network, variables, votes, features, _ = case
    order = np.random.default_rng(1).permutation(6)
    logits = np.asarray(network.apply(variables, votes, features))
    permuted = network.apply(variables, votes[..., order], features)
    np.testing.assert_allclose(permuted, logits[..., order], atol=1e-5)


def test_more_empty_classes_change_nothing(case):
    network, variables, votes, features, _ = case
    logits = np.asarray(network.apply(variables, votes, features))
    wider = jnp.concatenate([votes, jnp.zeros((*votes.shape[:-1], 2))], axis=-1)
    np.testing.assert_allclose(
        network.apply(variables, wider, features)[..., :6], logits, atol=1e-5
    )
