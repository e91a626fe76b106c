"""Which stages a config without a workdir trains for the methods that are asked for."""

import pytest

from wrp_jax.cli.propagate import propagate
from wrp_jax.config import Config, MotionConfig, SegmentationConfig
from wrp_jax.labelling.request import Request
from wrp_jax.propagation.methods import METHODS
from wrp_jax.runs.networks import stages_to_train, tell_missing
from wrp_jax.training import stages
from wrp_jax.types import UserError

EVERY = ("motion", "segmentation", "refiner")


@pytest.mark.parametrize(
    ("methods", "listed", "trained"),
    [
        (["static"], EVERY, ()),
        (["motion-only"], EVERY, ("motion",)),
        (["motion-only"], ("segmentation", "refiner"), ()),
        (["semantic-only"], EVERY, ("segmentation",)),
        (["warp-inpaint"], EVERY, ("motion", "segmentation")),
        (["warp-refine"], EVERY, EVERY),
        (list(METHODS), ("segmentation", "refiner"), ("segmentation", "refiner")),
    ],
)
def test_what_the_methods_read_is_trained(methods, listed, trained):
    assert stages_to_train(methods, Config(stages=listed)) == trained


def test_published_weights_need_no_training():
    config = Config(segmentation=SegmentationConfig(name="hrnet_ocr", weights="x.pth"))
    assert stages_to_train(["semantic-only"], config) == ()


def test_a_demo_trains_the_motion_it_lacks(make_folder, tmp_path, monkeypatch):
    root = make_folder({"a": 3}, labelled=lambda sequence, t: t == 1)
    asked = []

    def run(config, known, source, windows, workdir):
        asked.append((config.stages, workdir))
        raise UserError("stop")

    monkeypatch.setattr(stages, "run_stages", run)
    config = Config(stages=EVERY, motion=MotionConfig(name="raft_small"))
    request = Request(str(root), tmp_path / "out", "motion-only")
    with pytest.raises(UserError, match="stop"):
        propagate(config, request, workdir=None, train=True)
    assert asked == [(("motion",), tmp_path / "out" / "training")]
    config.stages = EVERY[1:]
    with pytest.raises(UserError, match=r"raft_small has no weights: .*configs/motion_video\.py"):
        propagate(config, request, workdir=None, train=True)


def test_weights_that_are_not_there_are_told_where_nothing_reads_them(tmp_path, caplog):
    config = Config(segmentation=SegmentationConfig(weights=str(tmp_path / "none.pth")))
    tell_missing(config)
    assert f"--config.segmentation.weights={tmp_path / 'none.pth'} is not there" in caplog.text
    caplog.clear()
    (tmp_path / "none.pth").touch()
    tell_missing(config)
    assert not caplog.text
