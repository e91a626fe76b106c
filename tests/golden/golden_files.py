"""The golden fixtures in our layout; conftest.py files put this folder on the path."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest
import weights

HERE = pathlib.Path(__file__).parent
SHARED = HERE.parents[1] / ".." / "shared" / "golden"


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
