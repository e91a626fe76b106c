"""A finished run goes on with labels that were added since."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from test_segmentation_resume import OPTIONS, Net, toy  # noqa: F401  the fixture

from wrp_jax.config import Config
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.runs.results import load_result, save_result
from wrp_jax.runs.workdir import run_metadata
from wrp_jax.training import update
from wrp_jax.training.segmentation import stage
from wrp_jax.training.stages import run_stages
from wrp_jax.training.update import check_update, update_run
from wrp_jax.types import UserError

pytestmark = pytest.mark.stages


def draw(folder, name):
    label = np.zeros((32, 48), np.uint8)
    label[:, 24:], label[28:] = 1, 2
    Image.fromarray(np.roll(label, int(name), 1)).save(folder / f"s/labels/{name}.png")


@pytest.fixture
def folder(tmp_path):
    """Three classes, four frames, the second one labelled."""
    folder = tmp_path / "videos"
    for kind in ("frames", "labels"):
        (folder / "s" / kind).mkdir(parents=True)
    for t in range(4):
        picture = np.zeros((32, 48, 3), np.uint8)
        picture[:, :24, 0], picture[:, 24:, 1] = 200, 200
        Image.fromarray(np.roll(picture, t, 1)).save(folder / f"s/frames/{t}.png")
    names = ("left", "right", "void")
    classes = [{"id": i, "name": n, "void": n == "void"} for i, n in enumerate(names)]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    draw(folder, "1")
    return folder


def given(folder, steps=OPTIONS.optimiser.steps):
    source = open_folder(folder)
    windows = windows_of_keyframes(source, None, 2)
    config = Config(segmentation=OPTIONS, stages=("segmentation", "refiner"))
    config.segmentation.optimiser.steps = steps
    return config, KnownLabels(source, windows), source, windows


def contents(workdir):
    return {p.name: p.read_bytes() for p in workdir.iterdir() if p.is_file()}


@pytest.fixture
def trained(toy, folder, tmp_path):  # noqa: F811
    config, known, _, _ = given(folder)
    workdir = tmp_path / "run"
    workdir.mkdir()
    variables = Net().init(jax.random.key(0), np.zeros((1, 16, 16, 3)))
    save_result(workdir, "segmentation", variables, run_metadata(config, known))
    save_result(workdir, "refiner", {"params": {"w": np.ones(2)}}, {"classes": {}})
    return workdir


def test_a_grown_set_of_labels_is_updated_and_can_be_repeated(trained, folder, tmp_path, interrupt):
    before = contents(trained)
    draw(folder, "3")
    one = update_run(*given(folder), trained, 4)
    assert one == trained / "updates/1" and contents(trained) == before
    assert (one / "refiner.npz").read_bytes() == before["refiner.npz"]
    weights, metadata = load_result(one, "segmentation")
    assert metadata["config"]["segmentation"]["optimiser"]["steps"] == 4
    assert json.loads((one / "labels.json").read_text())["frames"] == ["s 1", "s 3"]
    assert (one / "metrics.jsonl").exists()

    def far(a, b):
        return np.abs(a["params"]["Conv_0"]["kernel"] - b["params"]["Conv_0"]["kernel"]).max()

    start, _ = load_result(trained, "segmentation")
    assert 0 < far(weights, start) < 0.2
    # Once more: nothing is trained; the labels of before still are those of the run.
    made = (one / "segmentation.npz").stat().st_mtime_ns
    assert update_run(*given(folder), trained, 4) == one
    assert (one / "segmentation.npz").stat().st_mtime_ns == made
    # Labels grow again: from the update before; stopped in the middle, it goes on.
    draw(folder, "0")
    interrupt(stage, lambda: update_run(*given(folder), trained, 4))
    two = trained / "updates/2"
    assert not (two / "segmentation.npz").exists()
    assert update_run(*given(folder), trained, 4) == two
    assert json.loads((two / "start.json").read_text())["from"] == "1"


def test_a_run_of_other_labels_says_both_ways_out(trained, folder):
    config, known, source, windows = given(folder)
    config.stages = ("segmentation",)
    run_stages(config, known, source, windows, trained)  # it is finished
    draw(folder, "3")
    _, known, source, windows = given(folder)
    with pytest.raises(UserError, match=r"s 3 is new; .*--update to go on .* another --workdir"):
        run_stages(config, known, source, windows, trained)


def test_what_cannot_be_updated_is_told(trained, folder, monkeypatch):
    draw(folder, "3")
    (trained / "refiner.npz").unlink()
    with pytest.raises(UserError, match=r"run has no refiner: run train\.py without --update"):
        update_run(*given(folder), trained, 4)
    save_result(trained, "refiner", {"params": {"w": np.ones(2)}}, {"classes": {}})
    with pytest.raises(UserError, match=r"another config \(segmentation.optimiser.steps was 5"):
        update_run(*given(folder, steps=7), trained, 4)
    assert not (trained / "updates").exists()
    with pytest.raises(UserError, match="--update_steps=0 must be at least 1"):
        check_update(Config(), 0)
    with pytest.raises(UserError, match=r"trains none \(config\.stages is motion\)"):
        check_update(Config(stages=("motion",)), 5)
    with monkeypatch.context() as patch:
        patch.setattr(update, "train_network", lambda *given, **more: None)
        update_run(*given(folder), trained, 1)
    save_result(trained, "segmentation", {"params": {"w": np.ones(1)}},
                load_result(trained, "segmentation")[1])  # fmt: skip
    with pytest.raises(UserError, match=r"segmentation\.npz has changed since"):
        update_run(*given(folder), trained, 1)
