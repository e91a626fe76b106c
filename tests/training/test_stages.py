import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wrp_jax.config import Config
from wrp_jax.data.folder import open_folder
from wrp_jax.data.known_labels import KnownLabels
from wrp_jax.data.windows import windows_of_keyframes
from wrp_jax.files.digests import DIGESTS_FILE
from wrp_jax.runs.results import load_result, save_result
from wrp_jax.training import stages
from wrp_jax.types import UserError

ROOT = Path(__file__).parents[2]


def write_classes(folder, count=3):
    classes = [{"id": i, "name": f"class{i}", "color": [i, i, i]} for i in range(count)]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))


@pytest.fixture
def folder(tmp_path):
    """One sequence of 5 frames, labels of 1 and 3."""
    folder = tmp_path / "videos"
    rng = np.random.default_rng(0)
    for kind, numbers, shape in (("frames", range(5), (8, 9, 3)), ("labels", (1, 3), (8, 9))):
        (folder / "a" / kind).mkdir(parents=True)
        for i in numbers:
            pixels = rng.integers(0, 3, shape, np.uint8)
            Image.fromarray(pixels).save(folder / "a" / kind / f"{i:03d}.png")
    write_classes(folder)
    return folder


def opened(folder, keyframes=None):
    source = open_folder(folder)
    windows = windows_of_keyframes(source, keyframes, 2)
    return source, windows, KnownLabels(source, windows)


@pytest.fixture
def calls(monkeypatch):
    """Stages that note their calls and write a result."""
    made = []

    def stage(name):
        def train(config, known, source, windows, workdir):
            made.append(name)
            metadata = stages.run_metadata(config, known)
            save_result(workdir, name, {"params": {"w": np.ones(2)}}, metadata)

        return train

    module = type(sys)("toy_stages")
    module.first, module.second = stage("first"), stage("second")
    monkeypatch.setitem(sys.modules, "toy_stages", module)
    table = {"first": "toy_stages:first", "second": "toy_stages:second"}
    monkeypatch.setattr(stages, "STAGES", table)
    return made


def run(folder, workdir, *, names=("first", "second"), keyframes=None, **options):
    source, windows, known = opened(folder, keyframes)
    config = Config(stages=names, **options)
    stages.run_stages(config, known, source, windows, workdir)


def test_stages_run_in_order_and_once(folder, tmp_path, calls):
    run(folder, tmp_path / "run", names=("first",))
    assert calls == ["first"]
    run(folder, tmp_path / "run")
    assert calls == ["first", "second"]
    run(folder, tmp_path / "run")
    assert calls == ["first", "second"]
    files = sorted(p.name for p in (tmp_path / "run").iterdir() if p.name != DIGESTS_FILE)
    assert files == ["classes.json", "config.json", "first.npz", "labels.json", "second.npz"]


def test_the_real_table_names_what_exists_or_will_be_imported():
    assert set(stages.STAGES) >= set(Config().stages)
    assert all(len(target.split(":")) == 2 for target in stages.STAGES.values())


def test_a_stage_that_does_not_exist_is_refused(folder, tmp_path, calls):
    with pytest.raises(UserError, match="'third': there are first, second"):
        run(folder, tmp_path / "run", names=("first", "third"))
    assert not (tmp_path / "run").exists()
    assert calls == []


def more_classes(folder):
    write_classes(folder, 4)


def another_label(folder):
    pixels = np.zeros((8, 9), np.uint8)
    Image.fromarray(pixels).save(folder / "a" / "labels" / "003.png")


def label_gone(folder):
    (folder / "a" / "labels" / "003.png").unlink()


def label_added(folder):
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(folder / "a" / "labels" / "004.png")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (more_classes, {}, r"run was trained on 3 classes \(class0, .*the data has 4 classes"),
        (another_label, {}, "on the same frames with other labels"),
        (label_gone, {}, "other labelled frames: a 003 is not given now"),
        (label_added, {}, "other labelled frames: a 004 is new"),
        (None, {"keyframes": [("a", "001")]}, "other labelled frames: a 003 is not given now"),
        (None, {"seed": 5}, r"another config \(seed was 0, is 5\)"),
    ],
)
def test_a_workdir_of_another_run_is_refused(folder, tmp_path, calls, change, options, message):
    run(folder, tmp_path / "run", names=("first",))
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    if change:
        change(folder)
    with pytest.raises(UserError, match=message) as error:
        run(folder, tmp_path / "run", **options)
    assert "\n" not in str(error.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert calls == ["first"]


def another_frame(folder):
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(folder / "a" / "frames" / "004.png")


def frame_gone(folder):
    (folder / "a" / "frames" / "004.png").unlink()


def another_labelled_frame(folder):
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(folder / "a" / "frames" / "003.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_labelled_frame, r"\(the labelled frame a 003 was another picture\)"),
        (another_frame, r"\(those of the sequence a were others, more or fewer\)"),
        (frame_gone, r"\(those of the sequence a were others, more or fewer\)"),
    ],
)
def test_a_run_on_other_pictures_is_refused(folder, tmp_path, calls, change, message):
    run(folder, tmp_path / "run")
    run(folder, tmp_path / "run")  # finished before
    before = (tmp_path / "run" / "labels.json").read_bytes()
    change(folder)
    for names in (("first", "second"), ("first",)):
        with pytest.raises(UserError, match="was trained on other frames: give the") as error:
            run(folder, tmp_path / "run", names=names)
        assert error.match(message)
    assert calls == ["first", "second"]
    assert (tmp_path / "run" / "labels.json").read_bytes() == before


def test_a_run_of_a_version_that_knew_no_pictures_goes_on(folder, tmp_path, calls):
    run(folder, tmp_path / "run", names=("first",))
    path = tmp_path / "run" / "labels.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({key: content[key] for key in ("fingerprint", "frames")}))
    another_frame(folder)
    run(folder, tmp_path / "run")
    assert calls == ["first", "second"]
    another_label(folder)
    with pytest.raises(UserError, match="on the same frames with other labels"):
        run(folder, tmp_path / "run")


@pytest.mark.parametrize("change", [another_frame, frame_gone])
def test_without_labels_a_run_on_other_frames_is_refused(folder, tmp_path, calls, change):
    def go():
        source = open_folder(folder, labelled=False)
        config = Config(stages=("first",))
        stages.run_stages(config, KnownLabels(source, ()), source, (), tmp_path / "run")

    go()
    go()  # the same frames are no mistake
    change(folder)
    with pytest.raises(UserError, match=r"run was trained on other frames: give the same --data"):
        go()
    assert calls == ["first"]


def test_options_of_every_stage_are_looked_at_before_the_first_is_trained(folder, tmp_path):
    config = Config()
    config.refiner.source = "cycles"
    source, windows, known = opened(folder)
    with pytest.raises(UserError, match=r"refiner\.source is 'cycles': use one of"):
        stages.run_stages(config, known, source, windows, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_result_from_elsewhere_is_refused(folder, tmp_path, calls):
    run(folder, tmp_path / "run", names=("first",))
    variables, metadata = load_result(tmp_path / "run", "first")
    save_result(tmp_path / "run", "first", variables, {**metadata, "fingerprint": "0" * 64})
    with pytest.raises(UserError, match=r"first\.npz was trained on other labelled frames"):
        run(folder, tmp_path / "run")


def test_a_workdir_that_is_a_file_or_cannot_be_read_is_refused(folder, tmp_path, calls):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        run(folder, tmp_path / "file")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        run(folder, tmp_path / "run")


def test_run_metadata_leaves_out_which_stages_and_who_reads(folder):
    _, _, known = opened(folder)
    configs = (
        Config(stages=("first",)),
        Config(stages=("second",), workers=2, sharding="fsdp", pseudo="OUT", test="T"),
    )
    one, two = (stages.run_metadata(config, known) for config in configs)
    assert one == two == json.loads(json.dumps(one))
    assert one["config"]["segmentation"]["sampling"]["crop"] == list(
        Config().segmentation.sampling.crop
    )
    assert set(one["config"]) == {f.name for f in dataclasses.fields(Config)} - {
        "stages",
        "workers",
        "sharding",
        "pseudo",
        "test",
    }


PROGRAM = """
import sys
import numpy as np
from wrp_jax.cli.main import run_command
from wrp_jax.runs.results import save_result
from wrp_jax.training import stages

def toy(config, known, source, windows, workdir):
    print(config.seed, len(known.items), [f"{w.first}-{w.last}" for w in windows])
    save_result(workdir, "segmentation", {"a": np.ones(1)}, stages.run_metadata(config, known))

stages.STAGES["segmentation"] = "__main__:toy"
sys.exit(run_command("train", ["train.py", *sys.argv[1:]]))
"""


def train_py(*arguments):
    """Runs train.py with a toy in the place of the segmentation stage."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300, check=False,
    )  # fmt: skip


def test_train_py(folder, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        "from wrp_jax.config import Config\n"
        "def get_config():\n    return Config(stages=('segmentation',))\n"
    )
    keyframes = tmp_path / "keyframes.txt"
    keyframes.write_text("a 001\n")
    command = [f"--config={config}", f"--data={folder}", f"--workdir={tmp_path / 'run'}"]
    result = train_py(*command, f"--keyframes={keyframes}", "--config.seed=7")
    assert (result.returncode, result.stdout) == (0, "7 1 ['000-004']\n"), result.stderr
    assert (tmp_path / "run" / "segmentation.npz").exists()

    result = train_py(*command, "--config.seed=7")
    assert result.returncode == 2
    assert result.stderr.startswith("train.py: ")
    assert "a 003 is new" in result.stderr and result.stderr.count("\n") == 1

    result = train_py(*command[:2], f"--workdir={folder / 'run'}")
    assert result.returncode == 2
    assert "lies inside the input" in result.stderr and result.stderr.count("\n") == 1
    assert not (folder / "run").exists()


def test_train_py_on_stills_without_video(folder, tmp_path):
    for name, stages_ in (("stills", "('segmentation',)"), ("both", "('segmentation', 'refiner')")):
        (tmp_path / f"{name}.py").write_text(
            "from wrp_jax.config import Config\n"
            f"def get_config():\n    return Config(stages={stages_})\n"
        )
    (tmp_path / "list.txt").write_text("a 001\na 003\n")
    command = [f"--stills={folder}:{tmp_path / 'list.txt'}", f"--workdir={tmp_path / 'run'}"]
    result = train_py(f"--config={tmp_path / 'stills.py'}", *command)
    assert (result.returncode, result.stdout) == (0, "0 2 []\n"), result.stderr
    result = train_py(f"--config={tmp_path / 'both.py'}", *command)
    assert result.returncode == 2 and "--data is missing" in result.stderr


def test_a_mistake_that_only_a_stage_finds_leaves_the_workdir_free(folder, tmp_path, monkeypatch):
    def refuse(config, known, source, windows, workdir):
        raise UserError("none.pth does not exist.")

    def begin(config, known, source, windows, workdir):
        (workdir / "checkpoints").mkdir()
        refuse(config, known, source, windows, workdir)

    monkeypatch.setattr(stages, "STAGES", {"first": ""})
    source, windows, known = opened(folder)
    for stage, left in (
        (refuse, []),
        (begin, ["checkpoints", "classes.json", "config.json", "labels.json"]),
    ):
        monkeypatch.setattr(stages, "_imported", lambda target, stage=stage: stage)
        with pytest.raises(UserError, match=r"none\.pth"):
            config = Config(stages=("first",))
            stages.run_stages(config, known, source, windows, tmp_path / "run")
        there = {p.name for p in (tmp_path / "run").iterdir()} - {DIGESTS_FILE}
        assert sorted(there) == left


@pytest.mark.parametrize("name", ["classes.json", "labels.json", "config.json"])
@pytest.mark.parametrize("text", ["[1]", "null", "7", "{"])
def test_a_workdir_with_damaged_notes_is_refused(folder, tmp_path, calls, name, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(UserError, match=f"{name} cannot be read: give another --workdir"):
        run(folder, tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == [name]
