"""The golden fixtures in our layout; conftest.py files put this folder on the path."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest
import weights

from wrp_jax.weights import published

HERE = pathlib.Path(__file__).parent
SHARED = HERE.parents[1] / ".." / "shared" / "golden"


def state_dict(manifest: str, salt: str = "") -> dict[str, np.ndarray]:
    """The reproducible weights under the names of the published file, ``module.`` taken off."""
    weights.check_manifest(HERE / f"{manifest}.json")
    state = weights.make_state_dict(HERE / f"{manifest}.json", salt)
    return {name.removeprefix("module."): array for name, array in state.items()}


def published_state(network: str, width: int, classes: int = 0) -> dict[str, np.ndarray]:
    """As `state_dict`, of a network of the HRNet family at a width that is quick, full depth.

    ``classes`` is 0 for a network that has no classifier.
    """
    state = {}
    sizes = {"width": width} | ({"num_classes": classes} if classes else {})
    names = published.NETWORKS[network].names
    for path, value in published.template(network, **sizes).items():
        shape = value.shape
        if len(shape) > 1:
            shape = (*(1,) * (4 - len(shape)), *shape)
            shape = (shape[3], shape[2], *shape[:2])
        name = published.published_name(path, names)
        state[name] = weights.make_tensor(name, {"shape": shape}, [["bn2|bn3|norm", 0.3]])
    return state


def arrays(name: str, elsewhere: pathlib.Path = HERE) -> dict[str, np.ndarray]:
    """A fixture's arrays; channels are moved last in those of four axes that are no frames.

    A fixture that is not in this folder is looked for in ``elsewhere``.
    """
    path = HERE / f"{name}.npz"
    return _read(path if path.exists() else elsewhere / path.name)


def whole(name: str) -> dict[str, np.ndarray]:
    """As ``arrays``, before it was cut: of shared/golden, where LARGE_FIXTURES asks for it."""
    if "LARGE_FIXTURES" not in os.environ:
        pytest.skip(f"the whole of {name}.npz is compared where LARGE_FIXTURES=1 is set")
    if not (SHARED / f"{name}.npz").exists():
        pytest.skip(f"no {name}.npz in shared/golden beside the repository")
    return _read(SHARED / f"{name}.npz")


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(path) as fixture:
        loaded = {key: fixture[key] for key in fixture.files}
    return {
        key: np.moveaxis(array, 1, -1) if array.ndim == 4 and "uint8" not in key else array
        for key, array in loaded.items()
    }
