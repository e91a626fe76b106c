"""A motion network from a published checkpoint, in either container; without torch."""

from __future__ import annotations

import golden_files
import jax
import numpy as np
import pytest
from hand_made import CONTAINERS, write_state

from wrp_jax.config import MotionConfig
from wrp_jax.motion import build
from wrp_jax.motion.still import zero_motion
from wrp_jax.types import UserError
from wrp_jax.weights.safetensors_file import write_safetensors

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def state():
    return golden_files.state_dict("raft_small")


@pytest.fixture
def loaded(monkeypatch):
    """What RAFT is given by ``build_motion``: compiling it three times would tell nothing more."""
    given = []

    def raft_motion(config, variables, count):
        given.append(variables)
        return zero_motion()

    def variables(path):
        build.build_motion(MotionConfig(name="raft_small", weights=str(path)))
        return given.pop()

    monkeypatch.setattr(build, "raft_motion", raft_motion)
    return variables


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_checkpoint_is_what_its_safetensors_are(tmp_path, state, loaded, container):
    # As saved from DataParallel: every name begins with ``module.``.
    named = {f"module.{name}": array for name, array in state.items()}
    got = loaded(write_state(tmp_path / "raft-small.pth", named, container))
    write_safetensors(tmp_path / "raft-small.safetensors", state, {})
    expected = loaded(tmp_path / "raft-small.safetensors")
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    kernel = state["fnet.conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(got["params"]["fnet"]["conv1"]["kernel"], kernel)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path, state, loaded, container):
    part = {name: array for name, array in state.items() if name != "fnet.conv1.weight"}
    path = write_state(tmp_path / "part.pth", part, container)
    with pytest.raises(UserError, match=r"1 names missing.*fnet\.conv1\.weight"):
        loaded(path)
