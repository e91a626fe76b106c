"""The golden fixtures in our layout; conftest.py files put this folder on the path."""

from __future__ import annotations

import pathlib

import numpy as np
import weights

HERE = pathlib.Path(__file__).parent


def state_dict(manifest: str, salt: str = "") -> dict[str, np.ndarray]:
    """The reproducible weights under the names of the published file, ``module.`` taken off."""
    weights.check_manifest(HERE / f"{manifest}.json")
    state = weights.make_state_dict(HERE / f"{manifest}.json", salt)
    return {name.removeprefix("module."): array for name, array in state.items()}


def arrays(name: str, elsewhere: pathlib.Path = HERE) -> dict[str, np.ndarray]:
    """A fixture's arrays; channels are moved last in those of four axes that are no frames.

    A fixture that is not in this folder is looked for in ``elsewhere``.
    """
    path = HERE / f"{name}.npz"
    with np.load(path if path.exists() else elsewhere / path.name) as fixture:
        loaded = {key: fixture[key] for key in fixture.files}
    return {
        key: np.moveaxis(array, 1, -1) if array.ndim == 4 and "uint8" not in key else array
        for key, array in loaded.items()
    }
