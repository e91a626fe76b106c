"""A folder of networks that a later run uses as they are."""

import numpy as np
import pytest

from wrp_jax.config import Config
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.runs.results import save_result
from wrp_jax.runs.workdir import is_finished, prepare_workdir, run_metadata
from wrp_jax.types import UserError, Window

STAGES = ("segmentation", "refiner")


@pytest.fixture
def known(folder):
    window = Window("a", "000001", "000000", "000002")
    return KnownLabels(open_folder(folder), [window])


@pytest.fixture
def workdir(tmp_path, known):
    prepare_workdir(tmp_path / "run", Config(), known)
    for stage in STAGES:
        weights = {"w": np.zeros(1, np.float32)}
        save_result(tmp_path / "run", stage, weights, run_metadata(Config(), known))
    return tmp_path / "run"


def test_all_stages_are_there(workdir, known, caplog):
    assert is_finished(workdir, Config(), known, STAGES) and not caplog.text
    (workdir / "refiner.npz").unlink()
    assert not is_finished(workdir, Config(), known, STAGES)
    assert is_finished(workdir, Config(), known, STAGES[:1])
    assert not is_finished(workdir / "none", Config(), known, STAGES)


def test_other_labels_are_told_and_another_config_is_refused(workdir, known, folder, caplog):
    window = Window("a", "000004", "000003", "000005")
    others = KnownLabels(open_folder(folder), [window])
    assert is_finished(workdir, Config(), others, STAGES)
    assert f"{workdir}: the networks have learnt from other labels" in caplog.text
    assert "give another --output to train anew" in caplog.text  # this one is of these networks
    config = Config()
    config.refiner.steps += 1
    for stage in STAGES:  # also where it was stopped
        with pytest.raises(UserError, match=r"another config .*, or another --output\.$"):
            is_finished(workdir, config, known, STAGES)
        (workdir / f"{stage}.npz").unlink()
    said = r"run: a training that is not finished was begun with other labels: .* another --output"
    with pytest.raises(UserError, match=said):
        is_finished(workdir, Config(), others, STAGES)
