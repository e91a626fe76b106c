"""The two commands of README.md, with the networks they train: a short training of everything.

Every program runs without a network. One keyframe is listed; all other labels are for scoring.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from offline import CODE, guarded
from PIL import Image

from wrp_jax.labelling.plan import chosen_methods
from wrp_jax.runs.results import load_result

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[1]
FRAMES, KEY = 5, 1
METHODS = chosen_methods("all")
CLASSES = [
    {"id": 0, "name": "road", "color": [40, 80, 120]},
    {"id": 7, "name": "car", "color": [200, 60, 30]},
    {"id": 9, "name": "sky", "color": [220, 220, 220]},
    {"id": 12, "name": "nothing", "color": [0, 0, 0], "void": True},
]
IDS = [entry["id"] for entry in CLASSES]
SHORT = (
    "--config.motion.preset=ultrafast",
    "--config.segmentation.network.width=4",
    "--config.segmentation.optimiser.steps=2",
    "--config.segmentation.optimiser.batch_size=2",
    "--config.segmentation.sampling.crop=(16,16)",
    "--config.segmentation.inference.flip=false",
    "--config.refiner.clips=2",
    "--config.refiner.crops=1",
    "--config.refiner.steps=2",
    "--config.refiner.batch_size=2",
    "--config.refiner.width=4",
    "--config.refiner.class_width=4",
    "--config.refiner.class_convs=1",
)
REFINERS = {
    "chooser": (),
    # Ω alone: the workdir already holds the segmentation.
    "pix2pix": (
        "--config.refiner.name=pix2pix",
        "--config.refiner.source=cycle",
        "--config.stages=refiner",
    ),
}
SCORES = {"miou", "miou_with_void", "miou_interior", "iou_per_class", "mean", "mean_with_void"}


def video(root, moved=lambda t, label: label):
    """A car that drives past, 17x31 pixels; ``moved(t, label)`` gives the labels' ids."""
    colors = np.zeros((13, 3), int)
    colors[IDS] = [entry["color"] for entry in CLASSES]
    for kind in ("frames", "labels"):
        (root / "street" / kind).mkdir(parents=True)
    for t in range(FRAMES):
        label = np.zeros((17, 31), np.uint8)
        label[:3], label[5:12, 6 + 2 * t : 14 + 2 * t], label[14:, :4] = 9, 7, 12
        noise = np.random.default_rng(0).integers(-20, 21, (17, 31, 3))
        frame = np.clip(colors[label] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(frame).save(root / "street" / "frames" / f"{t}.png")
        Image.fromarray(moved(t, label)).save(root / "street" / "labels" / f"{t}.png")
    (root / "classes.json").write_text(json.dumps({"classes": CLASSES}))


def permuted(t, label):
    """Other labels wherever none is listed: every id in the place of another one."""
    if t == KEY:
        return label
    table = np.zeros(256, np.uint8)
    table[IDS] = np.roll(IDS, 1)
    return table[label]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("end_to_end")
    video(home / "D")
    video(home / "P", permuted)
    (home / "keys.txt").write_text(f"street {KEY}\n")
    return home


@pytest.fixture(scope="module")
def run(home):
    """``run(program, *flags)``: what it prints, of a program in a process of its own."""
    cache = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    path = os.pathsep.join([guarded(home / "guard"), str(ROOT)])
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "user_input" / "command_server.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **cache, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu",
             "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip

    def go(program, *flags, code=0):
        words = [str(program), *map(str, flags)]
        server.stdin.write(json.dumps([str(home), words]) + "\n")
        server.stdin.flush()
        answer, out, error = json.loads(server.stdout.readline())
        assert answer == code, error
        return out if code == 0 else error

    yield go
    server.communicate()


@pytest.fixture(scope="module")
def trained(home, run):
    """``trained(refiner, data, letter)``: workdir and output of both commands on a data set."""

    def train_and_label(refiner, data, letter, workers=0):
        workdir, output = home / f"{letter}_{refiner}", home / f"{letter}_{refiner}_out"
        if output.exists():
            return workdir, output
        if refiner == "pix2pix":
            workdir.mkdir()
            before, _ = train_and_label("chooser", data, letter, workers)
            shutil.copy(before / "segmentation.npz", workdir)
        given = (
            f"--config={ROOT / 'configs' / 'folder.py'}", f"--data={data}",
            f"--workdir={workdir}", "--keyframes=keys.txt", *SHORT, *REFINERS[refiner],
        )  # fmt: skip
        run("train.py", *given, f"--config.workers={workers}")
        printed = run("propagate.py", *given, f"--output={output}", "--method=all")
        assert all(name in printed for name in METHODS)
        return workdir, output

    return train_and_label


@pytest.fixture(scope="module")
def permuted_set(run):
    """The folder with other unlisted labels, as a TFDS data set: what to give as ``--data``."""
    return run("wrp_jax/__main__.py", "build", "--data=P", "--output=sets").split()[-1]


def pictures(output, kind):
    """Files of the main method and of the others, by their place in the output."""
    found = [*output.glob(f"*/{kind}/*.png"), *output.glob(f"methods/*/*/{kind}/*.png")]
    return {str(path.relative_to(output)): path for path in found}


def metrics(output):
    return json.loads((output / "metrics.json").read_text())


def places(kind, methods):
    folders = ["" if name == "warp-refine" else f"methods/{name}/" for name in methods]
    pairs = itertools.product(folders, range(FRAMES))
    return {f"{folder}street/{kind}/{t}.png" for folder, t in pairs}


@pytest.mark.parametrize("refiner", REFINERS)
def test_train_and_propagate_label_a_folder(trained, refiner):
    workdir, output = trained(refiner, "D", "D")
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    stages = ["segmentation", "refiner"] if refiner == "chooser" else ["refiner"]
    assert [(line["stage"], line["step"]) for line in logged] == [(name, 2) for name in stages]
    assert all(np.isfinite(line["loss"]) for line in logged)

    labels = pictures(output, "labels")
    assert labels.keys() == places("labels", METHODS)
    assert pictures(output, "confidence").keys() == places("confidence", METHODS)
    assert pictures(output, "overlays").keys() == places("overlays", ["warp-refine"])
    for place, path in labels.items():
        picture = Image.open(path)
        assert picture.mode == "P" and picture.size == (31, 17)
        assert set(np.unique(picture)) <= {*IDS}, place
        palette = np.array(picture.getpalette()).reshape(-1, 3)
        np.testing.assert_array_equal(palette[IDS], [entry["color"] for entry in CLASSES])
    key = Image.open(output / f"street/labels/{KEY}.png")
    given = Image.open(output.parent / f"D/street/labels/{KEY}.png")
    np.testing.assert_array_equal(key, given)

    found = metrics(output)
    assert found.keys() == {
        "methods", "method", "windows", "frames", "protocol", "missing", "out_of_reach",
        "version", "classes", "notes", "below_quality", "code",
    }  # fmt: skip
    assert found["missing"]["failed"] == 0 and found["protocol"] == "both"
    assert (found["method"], found["windows"], found["frames"]) == ("warp-refine", 1, FRAMES)
    assert found["notes"] == [] and [entry["id"] for entry in found["classes"]] == IDS
    assert list(found["methods"]) == list(METHODS)
    for scores in found["methods"].values():
        assert scores.keys() == {*SCORES, "mean_interior", "reliability", "flips"}
        assert scores["miou"].keys() == {"1", "2", "3"}
        assert all(0 <= value <= 100 for value in scores["miou"].values())
    assert found["methods"]["motion-only"]["mean"] > found["methods"]["static"]["mean"]

    report = (output / "report.html").read_text()
    assert all(f">{name}</th>" in report for name in METHODS)
    assert (output / "tfds" / "dataset_info.json").is_file()
    assert [*(output / "tfds").glob("*.array_record*-of-00001")]


def test_one_label_and_nothing_else_labels_a_video(home, run):
    """Its networks are trained in the output; the same command goes on."""
    frames, label = home / "D/street/frames", home / f"D/street/labels/{KEY}.png"
    shutil.copytree(frames, home / "clip")
    shutil.copy(home / "D/classes.json", label.parent)
    given = ("propagate.py", "--data=clip", f"--label={label}", *SHORT)
    expected = run(*given, "--dry-run")
    assert "first trains: segmentation, refiner" in expected
    assert not (home / "clip_output").exists()
    run(*given, "--method=warp-refine")
    output = home / "clip_output"
    assert {f"{t}.png" for t in range(FRAMES)} == {
        path.name for path in output.glob("clip/labels/*.png")
    }
    assert "<title>Propagated labels: clip<" in (output / "report.html").read_text()
    config = json.loads((output / "training/config.json").read_text())
    assert config["segmentation"]["network"]["max_pixels"] == 240 * 320  # the quick one's
    before = {path: path.stat().st_mtime_ns for path in output.glob("clip/*/*.png")}
    run(*given, "--method=warp-refine")
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "is a label of frame 9" in run(*given, f"--label=9:{label}", code=2)


@pytest.mark.parametrize("refiner", REFINERS)
def test_labels_that_are_not_listed_change_nothing_but_scores(trained, permuted_set, refiner):
    workdir, output = trained(refiner, "D", "D")
    # Nor does it matter where the data lie, and whether processes or threads read them.
    other_workdir, other_output = trained(refiner, permuted_set, "P", workers=2)
    for stage in ("segmentation", "refiner"):
        (one, _), (other, _) = (load_result(w, stage) for w in (workdir, other_workdir))
        assert arrays(one).keys() == arrays(other).keys()
        for name, array in arrays(one).items():
            np.testing.assert_array_equal(array, arrays(other)[name], err_msg=name)
    for kind in ("labels", "confidence", "overlays"):
        ours, others = (pictures(folder, kind) for folder in (output, other_output))
        assert ours.keys() == others.keys()
        for place in ours:
            assert ours[place].read_bytes() == others[place].read_bytes(), place
    # They were there, and read for scoring.
    before, after = (metrics(folder)["methods"] for folder in (output, other_output))
    assert all(before[name]["miou"] != after[name]["miou"] for name in METHODS)


def arrays(tree, prefix=""):
    if not isinstance(tree, dict):
        return {prefix: np.asarray(tree)}
    return {
        k: v for name, part in tree.items() for k, v in arrays(part, f"{prefix}/{name}").items()
    }


def test_a_program_that_reaches_out_ends(home, run):
    program = home / "reaches_out.py"
    program.write_text(
        "import socket\n"
        "try:\n"
        "    socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
        "except Exception:\n"
        "    pass\n"
    )
    assert "tried to reach 192.0.2.1" in run(program, code=CODE)
