"""What ``fit`` trains from and refuses; the stages themselves are stood in for."""

import tempfile

import numpy as np
import pytest
from PIL import Image
from video_folder import write_frame

import wrp_jax
from wrp_jax.api.argument_names import naming_arguments, naming_flags
from wrp_jax.config import Config, MotionConfig
from wrp_jax.runs.results import save_result
from wrp_jax.training import stages
from wrp_jax.types import UserError, Window


@pytest.fixture
def trained(monkeypatch):
    """What the stages are run on."""
    trained = []

    def run(config, known, source, windows, workdir):
        trained.append((config, known, source, windows, workdir))
        for stage in config.stages:
            save_result(workdir, stage, {"w": np.zeros(1)}, {})

    monkeypatch.setattr(stages, "run_stages", run)
    return trained


@pytest.fixture
def clip(rng):
    label = rng.integers(0, 2, (17, 31))
    return rng.integers(0, 256, (6, 17, 31, 3), np.uint8), {1: label, 4: 1 - label}


def test_arrays(trained, clip, tmp_path):
    frames, labels = clip
    config = Config()
    model = wrp_jax.fit(frames, labels, ["a", "b"], config=config, workdir=tmp_path / "run")
    ((_, known, _, windows, workdir),) = trained
    assert workdir == model.workdir == tmp_path / "run"
    assert windows == (
        Window("video", "000001", "000000", "000002"),
        Window("video", "000004", "000003", "000005"),
    )
    np.testing.assert_array_equal(known.label("video", "000004"), labels[4])
    assert model.classes.names == ("a", "b") and model.config == config
    assert "warp-refine" in model.methods
    config.propagation.tau = 0.1  # the model has options of its own
    assert model.config.propagation.tau == 0.5


def test_without_a_workdir_the_networks_go_with_the_model(trained, clip):
    model = wrp_jax.fit(*clip, ["a", "b"])
    workdir = model.workdir
    assert (workdir / "segmentation.npz").exists()
    del model
    trained.clear()
    assert not workdir.exists()


def test_a_failed_training_leaves_no_temporary_folder(clip, monkeypatch, tmp_path):
    def run(config, known, source, windows, workdir):
        raise UserError("stop")

    monkeypatch.setattr(stages, "run_stages", run)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UserError, match="stop"):
        wrp_jax.fit(*clip, ["a", "b"])
    assert not list(tmp_path.iterdir())


def test_sources_and_specifications(trained, folder, tmp_path):
    for video in (str(folder), folder, wrp_jax.open_source(str(folder))):
        model = wrp_jax.fit(video, workdir=tmp_path / "run")
        assert model.classes.ids == (0, 7, 255)
    assert [w.key for w in trained[-1][3]] == ["000001", "000004", "000000"]
    (tmp_path / "keys.txt").write_text("a 000004\n")
    wrp_jax.fit(folder, keyframes=tmp_path / "keys.txt", workdir=tmp_path / "run")
    assert [i.name for i in trained[-1][1].items] == ["000004"]
    windows = [Window("a", "000001", "000000", "000002")]
    wrp_jax.fit(folder, windows=windows, workdir=tmp_path / "run")
    assert trained[-1][3] == tuple(windows)
    (tmp_path / "list.txt").write_text("b 000000\n")
    config = Config(stages=("segmentation",))
    still = f"{folder}:{tmp_path / 'list.txt'}"
    wrp_jax.fit(None, stills=[still], config=config, workdir=tmp_path / "run")
    assert [i.sequence for i in trained[-1][1].items] == ["b"] and trained[-1][3] == ()


def test_an_export_is_imported_beside_the_networks(trained, tmp_path, monkeypatch):
    export = tmp_path / "export"
    for name in ("0", "1", "2"):
        write_frame(export / f"JPEGImages/street/{name}.png", size=(17, 31))
    (export / "SegmentationClass/street").mkdir(parents=True)
    Image.fromarray(np.ones((17, 31), np.uint8)).save(export / "SegmentationClass/street/1.png")
    wrp_jax.fit(export, workdir=tmp_path / "run")
    ((_, known, source, _, _),) = trained
    assert source.root == tmp_path / "run/imported"
    assert (known.label("street", "1") == 1).all() and source.classes.names[1] == "aeroplane"
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "list.txt").write_text("street 1\n")
    stills = f"{export}:{tmp_path / 'list.txt'}"
    model = wrp_jax.fit(export, stills=[stills])
    assert trained[1][2].frame_names("street") == ("0", "1", "2")
    assert list((tmp_path / "temporary").iterdir()) == [model.workdir]
    config, run = Config(stages=("segmentation",)), tmp_path / "stills"
    with pytest.raises(UserError, match=r"export:none\.txt: there is no list"):
        wrp_jax.fit(None, stills=[f"{export}:none.txt"], config=config, workdir=run)
    (tmp_path / "wrong.txt").write_text("street 0\n")  # which has no label
    with pytest.raises(UserError, match=r"wrong\.txt:1"):
        wrp_jax.fit(None, stills=[f"{export}:{tmp_path}/wrong.txt"], config=config, workdir=run)
    assert not run.exists()
    wrp_jax.fit(None, stills=[stills, stills], config=config, workdir=run)
    found = {item.source.root.relative_to(run).as_posix() for item in trained[-1][1].items}
    assert found == {"imported_stills", "imported_stills_2"}


def test_motion_alone_needs_no_label(trained, clip, tmp_path):
    config = Config(stages=("motion",), motion=MotionConfig(name="raft_small"))
    wrp_jax.fit(clip[0], config=config, workdir=tmp_path / "run")
    ((_, known, source, windows, _),) = trained
    assert known.items == () and windows == () and len(source.frame_names("video")) == 6


def test_mistakes_are_told_before_anything_is_trained(trained, clip, folder, tmp_path):
    frames, labels = clip
    write_frame(folder / "a" / "frames" / "000002.jpg", size=(5, 9))
    for arguments, options, says in [
        ((frames,), {}, "labels is missing"),
        ((frames, labels), {}, "classes is missing"),
        ((frames, {}, ["a", "b"]), {}, "labels is missing"),
        ((frames, labels, ["a"]), {}, "ids that are not in classes"),
        ((str(folder), labels), {}, "belong to a clip of arrays"),
        ((tmp_path / "no",), {}, "is not a folder"),
        ((folder,), {}, "all frames of a sequence must have one size"),
        ((None,), {}, "nothing to train from"),
        ((frames, labels, ["a", "b"]), {"config": Config(stages=("x",))}, "stages"),
        ((folder,), {"workdir": folder / "run"}, "inside the input"),
        ((folder,), {"windows": tmp_path / "w", "keyframes": tmp_path / "k"}, "exclude"),
    ]:
        with pytest.raises(UserError, match=says):
            wrp_jax.fit(*arguments, **{"workdir": tmp_path / "run", **options})
    assert not trained and not (tmp_path / "run").exists()


def test_load_reads_the_run_alone(folder, tmp_path, monkeypatch):
    def run(config, known, source, windows, workdir):
        stages.prepare_workdir(workdir, config, known)
        save_result(workdir, "segmentation", {"w": np.zeros(1)}, {})

    monkeypatch.setattr(stages, "run_stages", run)
    config = Config(stages=("segmentation",))
    config.propagation.tau = 0.2
    fitted = wrp_jax.fit(folder, config=config, workdir=tmp_path / "run")
    loaded = wrp_jax.load(tmp_path / "run")
    assert loaded.config == fitted.config and loaded.classes.names == fitted.classes.names
    assert loaded.methods == fitted.methods and "warp-inpaint" in loaded.methods
    other = Config()
    assert wrp_jax.load(str(tmp_path / "run"), other).config is other
    with pytest.raises(UserError, match="is not what fit or train"):
        wrp_jax.load(tmp_path)


def test_an_update_goes_on_from_a_workdir(folder, tmp_path, monkeypatch):
    made = []

    def update(config, known, source, windows, workdir, steps):
        made.append((workdir, steps, [item.name for item in known.items]))
        return workdir / "updates" / "1"

    monkeypatch.setattr("wrp_jax.training.update.update_run", update)
    model = wrp_jax.fit(folder, workdir=tmp_path / "run", update=7)
    assert model.workdir == tmp_path / "run/updates/1"
    assert made == [(tmp_path / "run", 7, ["000001", "000004", "000000"])]
    with pytest.raises(UserError, match=r"workdir is missing: an update goes on from a finished"):
        wrp_jax.fit(folder, update=7)
    with pytest.raises(UserError, match="this config trains none"):
        config = Config(stages=("motion",), motion=MotionConfig(name="raft_small"))
        wrp_jax.fit(folder, config=config, workdir=tmp_path / "run", update=7)


def test_mistakes_name_the_arguments(trained, clip, tmp_path):
    (tmp_path / "keys.txt").write_text("video 000001\n")
    listed = str(tmp_path / "keys.txt")
    with pytest.raises(UserError, match=r"^windows and keyframes exclude each other"):
        wrp_jax.fit(*clip, ["a", "b"], windows=listed, keyframes=listed)
    with pytest.raises(UserError, match=r"^update=-1 must be at least 1\."):
        wrp_jax.fit(*clip, ["a", "b"], workdir=tmp_path / "run", update=-1)

    @naming_arguments
    def refused():
        raise UserError("run 'wrp train --data=D', then give --data=D and --config.stages.")

    wanted = r"^run 'wrp train --data=D', then give video=D and config\.stages\."
    with pytest.raises(UserError, match=wanted):
        refused()
    with naming_flags(), pytest.raises(UserError, match=r"give --data=D and --config\.stages\.$"):
        refused()
    with pytest.raises(UserError, match=wanted):
        refused()
