"""The paper's tables and figures by their command; networks are stood in for by fixed scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from experiments import ablations, paper, servers, setting
from experiments.labels import SHOWN
from experiments.setting import Setting, folder_of, offsets_up_to, statistics
from experiments.students import rows
from wrp_jax.config import Config
from wrp_jax.data.label_maps import classes_to_json
from wrp_jax.data.label_writer import LabelWriter
from wrp_jax.data.open_source import open_source
from wrp_jax.data.public_sets.cityscapes import cityscapes_classes
from wrp_jax.types import UserError

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

GAINS = {"none": 0.0, "motion-only": -1.0, "semantic-only": 1.0, "warp-inpaint": 2.0,
         "warp-refine": 3.0, "true": 5.0}  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """Training, propagating and scoring by these figures; what was trained."""
    trained = []

    def fit(data, config, workdir, **more):
        if (workdir / "student.npz").exists():
            if json.loads((workdir / "options.json").read_text()) != repr(config.student):
                raise UserError(f"{workdir} is of other options")
            return
        trained.append((workdir.name if "teacher" in workdir.name else workdir, config))

    def propagate(config, request, workdir):
        curve = {"1": 80.0, "10": 60.0}
        scores = {
            name: {
                "miou": {k: v + gain for k, v in curve.items()},
                "miou_with_void": {k: v + gain for k, v in curve.items()},
                "mean": 70.0 + gain, "mean_with_void": 70.0 + gain,
                "iou_per_class": {"pole": {"mean": 30.0 + gain}},
            }
            for name, gain in GAINS.items()
        }  # fmt: skip
        return {"methods": scores}

    def score_run(config, test, workdir):
        options = config.student
        gain = GAINS[options.method if options.labels == "propagated" else options.labels]
        miou = 50.0 + gain + 0.1 * config.seed
        by_class = {"road": miou + config.segmentation.network.width, "train": None}
        scores = {"test": test, "miou": miou, "pixel_accuracy": 90.0, "mean_accuracy": 60.0}
        scores["iou"] = by_class
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "scores.json").write_text(json.dumps(scores))
        (workdir / "options.json").write_text(json.dumps(repr(options)))
        (workdir / "student.npz").touch()
        return scores

    def train_on(teacher, run, config, known, source, windows):
        trained.append((run, config))

    monkeypatch.setattr(setting, "fit", fit)
    monkeypatch.setattr(setting, "train_on", train_on)
    monkeypatch.setattr(setting, "propagate", propagate)
    monkeypatch.setattr(setting, "score_run", score_run)
    return trained


def run(tmp_path, name, *words):
    with flagsaver.flagsaver(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["paper"])
        flags = (f"--workdir={tmp_path / 'W'}", f"--results={tmp_path / 'results'}", *words)
        return paper.run([name, *flags])


def result(tmp_path, name):
    return json.loads((tmp_path / "results" / f"paper_{name}.json").read_text())


def test_table_1_has_mean_deviation_gain_and_share(calls, tmp_path, capsys):
    assert run(tmp_path, "table1") == 0
    stored = result(tmp_path, "table1")
    found = stored["figures"]["rows"]
    assert stored["seeds"] == [0, 1, 2] and "synthetic:clips=8" in stored["note"]
    refine = found["warp-refine"]
    assert refine["mean"] == pytest.approx(53.1) and refine["sigma"] == pytest.approx(0.1)
    assert refine["delta"] == pytest.approx(3.0) and refine["share"] == pytest.approx(0.6)
    assert found["motion-only"]["share"] == pytest.approx(-0.2)
    said = capsys.readouterr().out
    paper = stored["figures"]["paper"]
    assert paper["ApolloScape"]["warp-refine"]["share"] == pytest.approx(1.11 / 2.73)
    assert paper["NYU-V2"]["motion-only"]["delta"] == pytest.approx(-0.2)
    assert paper["NYU-V2"]["motion-only"]["share"] is None
    assert "52.12 ± 0.13" in said and "75.36 ± 0.07" in said and "0.41" in said
    students = [config for _, config in calls if config.stages == ("student",)]
    assert len(students) == 6 * 3
    by_method = {c.student.method: c for c in students if c.student.labels == "propagated"}
    assert by_method["motion-only"].student.offsets == (-2, 2)
    assert by_method["warp-refine"].student.offsets == (-8, -6, -4, -2, 2, 4, 6, 8)
    assert all(c.pseudo == str(tmp_path / "W" / "labels") for c in by_method.values())
    assert all(c.propagation.move_images and not c.test for _, c in calls)


def test_a_second_run_trains_no_student_again_and_fig_8_shares_them(calls, tmp_path, capsys):
    run(tmp_path, "table1", "--seeds=0")
    calls.clear()
    assert run(tmp_path, "table1", "--seeds=0,1") == 0
    assert len([1 for _, c in calls if c.stages == ("student",)]) == 6
    calls.clear()
    assert run(tmp_path, "fig8", "--seeds=0,1") == 0
    new = {str(w.relative_to(tmp_path / "W" / "students")) for w, c in calls if c.seed == 1}
    assert "warp-refine_2/1" in new and "motion-only_2_4_6_8_10/1" in new
    assert "warp-refine_2_4_6_8/1" not in new and "motion-only_2/1" not in new
    assert set(result(tmp_path, "fig8")["figures"]["rows"]) == {
        "baseline", *(f"{m} ±{d}" for m in ("motion-only", "warp-refine") for d in (2, 4, 6, 8, 10))
    }  # fmt: skip


def test_the_baseline_trained_longer_is_a_row_of_its_own(calls, tmp_path, capsys):
    assert run(tmp_path, "table1", "--seeds=0", "--longer=50") == 0
    rows = result(tmp_path, "table1")["figures"]["rows"]
    assert rows["baseline, longer"]["delta"] == rows["baseline"]["delta"] == 0.0
    students = {w.parent.name: c for w, c in calls if c.stages == ("student",)}
    config = students["baseline"]
    longer = students["baseline_longer_50"]
    assert longer.student == config.student and len(students) == 7
    assert longer.segmentation.optimiser.steps == config.segmentation.optimiser.steps + 50
    words = ("--seeds=0", "--longer=50", "--config.segmentation.optimiser.epochs=2")
    assert run(tmp_path, "table1", *words, f"--workdir={tmp_path / 'other'}") == 2
    assert "--longer adds to" in capsys.readouterr().err


def test_finished_students_of_other_options_are_refused(calls, tmp_path, capsys):
    run(tmp_path, "table1", "--seeds=0")
    assert run(tmp_path, "table1", "--seeds=0", "--config.student.confidence=0.5") == 2
    assert "is of other options" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fig1", "fig5"])
def test_figures_of_labels(calls, tmp_path, capsys, name):
    assert run(tmp_path, name, "--suffix=toy") == 0
    figures = result(tmp_path, f"{name}_toy")["figures"]
    said = capsys.readouterr().out
    if name == "fig1":
        assert figures["margin"] == {"10": pytest.approx(2.0)} and "+11.35" in said
    else:
        assert figures["iou"]["warp-refine"] == {"pole": 33.0} and "+13.12" in said
    assert not any(config.stages == ("student",) for _, config in calls)


@pytest.mark.parametrize(
    ("name", "says"),
    [("table2", "needs Cityscapes"), ("table4", "needs KITTI"), ("table3", "needs NYU-Depth V2")],
)  # fmt: skip
def test_what_cannot_be_run_says_why(calls, tmp_path, capsys, name, says):
    assert run(tmp_path, name) == 0
    assert f"not run: {says}" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


ERRORS = {"wrong": 3.0, "segmentation": 80.0}
TINY = ("--data=synthetic:clips=1,frames=5,height=32,width=64", "--config.key_every=5")


def test_ablations_of_labels(calls, tmp_path, capsys):
    assert run(tmp_path, "ablations", *TINY, "--parts=recursion,motion,refiner") == 0
    figures = result(tmp_path, "ablations")["figures"]
    assert figures["recursion"]["warp-inpaint"]["soft labels"] == {
        "1": 82.0, "last": 62.0, "mean": 72.0
    }  # fmt: skip
    assert set(figures["motion"]) == {"motion-only", "warp-inpaint"}
    refiners = figures["refiner"]
    assert refiners["pix2pix, cycles"]["miou"] == {"0": 73.0, "1": 73.0, "2": 73.0}
    assert refiners["pix2pix, cycles"]["delta"] == pytest.approx(1.0)
    configs = {
        run.parent.name: config.refiner
        for run, config in calls
        if isinstance(run, Path) and "refiners" in run.parts
    }
    assert configs["name-pix2pix_source-cycle_max_cycle_length-2"].max_cycle_length == 2
    # In every step or behind it: the refiner is the same.
    assert len(configs) == len(ablations.REFINERS) - 1
    assert "SDC-Net" in capsys.readouterr().out


def test_ablation_of_cycles_is_of_the_paper_as_printed(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(ablations, "load_segmentation", lambda *_: (None, None))
    monkeypatch.setattr(ablations, "chain_errors", lambda *_: {"2": {"cycle": ERRORS}})
    assert run(tmp_path, "ablations", *TINY, "--parts=cycles", "--seeds=0") == 0
    found = result(tmp_path, "ablations")["figures"]["cycles"]
    assert len(found) == 2 + 2 * len(ablations.CYCLES)
    assert found["errors"] == {"2": {"cycle": ERRORS}}
    assert found["both, in every step"]["delta"] == pytest.approx(1.0)
    trained = [config for run, config in calls if isinstance(run, Path) and "refiners" in run.parts]
    assert len(trained) == len(ablations.CYCLES)
    assert {(c.propagation.carrier, c.propagation.mask) for c in trained} == {("hard", "paper")}
    drawn = {(c.refiner.calibrate_cycles, c.refiner.vary_cycles) for c in trained}
    assert len(drawn) == 4 and {c.refiner.source for c in trained} == {"cycle"}


def test_ablations_of_students(calls, tmp_path):
    assert run(tmp_path, "ablations", "--parts=backbone,epoch", "--seeds=0") == 0
    figures = result(tmp_path, "ablations")["figures"]
    for part in ("backbone", "epoch"):
        for one in figures[part].values():
            assert one["warp-refine"]["delta"] == pytest.approx(3.0)
    students = {w.parent.name: c for w, c in calls if c.stages == ("student",)}
    assert students["baseline_as-1_crops"].student.epoch == 1.0
    assert students["warp-refine_2_4_6_8_as-hrnet_ocr__width_18"].segmentation.network.width == 18
    # What is as configured is Table 1's student, trained once.
    assert students["baseline"].student.epoch == 3.0 and len(students) == 2 * (1 + 2 + 2)


def test_ablations_of_hypotheses(calls, tmp_path, monkeypatch, capsys):
    def score(source, windows, motion, segment, choosers):
        scores = {name: 50.0 for name in ablations.HYPOTHESES}
        scores |= {f"perfect: {name}": 90.0 - len(name) for name in choosers}
        return {k: {"miou": {"1": v, "3": v}, "mean": v} for k, v in scores.items()}, 0.25

    monkeypatch.setattr(ablations, "score_hypotheses", score)
    monkeypatch.setattr(ablations, "load_segmentation", lambda *_: (None, None))
    assert run(tmp_path, "ablations", *TINY, "--parts=hypotheses") == 0
    figures = result(tmp_path, "ablations")["figures"]["hypotheses"]
    assert figures["without static"] == {"mean": 76.0, "delta": -11.0}
    assert "differ on 25.0 %" in capsys.readouterr().out


def test_fig_6_shows_windows_with_the_labels_of_all_methods(calls, tmp_path, monkeypatch, capsys):
    def propagate(config, request, workdir):
        source = open_source(request.data)
        for sequence in source.sequences:
            for name in source.frame_names(sequence):
                truth = source.label(sequence, name)
                for method in SHOWN:
                    folder = request.output / ("" if method == SHOWN[-1] else f"methods/{method}")
                    LabelWriter(folder, source.classes).write(
                        sequence, name, truth, np.ones(truth.shape)
                    )
        (request.output / "metrics.json").write_text(json.dumps({"method": SHOWN[-1]}))
        return {}

    monkeypatch.setattr(setting, "propagate", propagate)
    assert run(tmp_path, "fig6", *TINY) == 0
    figures = result(tmp_path, "fig6")["figures"]
    assert figures.pop("cpu_minutes")["all"] >= 0
    ((window, scores),) = figures.items()
    assert window == "clip_000 000002" and scores["motion-only"] == {"-1": 100.0, "1": 100.0}
    with Image.open(tmp_path / "W/fig6/clip_000_000002.png") as picture:
        assert picture.width > 3 * 64
    assert "clip_000_000002.png shows 000002 of clip_000" in capsys.readouterr().out


def _street(root, sequence, name):
    """A frame of 4x8 with a label of Cityscapes' ids: road, and a car on the right."""
    ids = np.full((4, 8), 7)
    ids[:, 6:] = 26
    source = cityscapes_classes()
    for kind, pixels in (("frames", np.zeros((4, 8, 3))), ("labels", ids)):
        path = root / sequence / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    (root / "classes.json").write_text(json.dumps(classes_to_json(source)))
    return ids


def test_table_2_has_the_classes_of_cityscapes(calls, tmp_path, capsys):
    _street(tmp_path / "D", "fine_val_bonn", "bonn_000000_000019")
    assert run(tmp_path, "table2", f"--data={tmp_path / 'D'}", "--config.test=T") == 0
    found = result(tmp_path, "table2")["figures"]["rows"]
    assert found["warp-refine"]["iou"] == {"road": pytest.approx(69.1), "train": None}
    assert found["warp-refine"]["delta"] == pytest.approx(3.0)
    said = capsys.readouterr().out
    assert "85.3  (paper)" in said and "experiments.submission cityscapes" in said


def test_table_4_has_the_scores_of_kittis_server(calls, tmp_path, monkeypatch, capsys):
    data, truth = tmp_path / "D", tmp_path / "training"
    ids = _street(data, "000003", "000003_10")
    given = (f"--data={data}", f"--config.test={data}", "--seeds=0,1")
    assert run(tmp_path, "table4", *given) == 2
    assert "--truth is missing" in capsys.readouterr().err
    for kind, pixels in (("semantic", ids), ("instance", ids * 256 + (ids == 26))):
        (truth / kind).mkdir(parents=True)
        Image.fromarray(pixels.astype(np.uint16)).save(truth / kind / "000003_10.png")
    asked = []

    def segment_clip(network, variables, clip, positions, **_):
        asked.append(clip.sequence)
        probs = np.zeros((1, 4, 8, 20))
        probs[..., 0], probs[..., 7:, 13] = 1.0, 2.0  # a road, half of the car
        return probs, None

    monkeypatch.setattr(servers, "segment_clip", segment_clip)
    monkeypatch.setattr(servers, "load_segmentation", lambda *_: (None, {}))
    assert run(tmp_path, "table4", *given, f"--truth={truth}") == 0
    row = result(tmp_path, "table4")["figures"]["rows"]["warp-refine"]
    assert row["class IoU"]["mean"] == pytest.approx((100 * 24 / 28 + 50) / 2)
    assert row["category iIoU"]["mean"] == pytest.approx(50.0)
    assert row["class iIoU"]["delta"] == 0.0 and row["class IoU"]["sigma"] == 0.0
    said = capsys.readouterr().out
    assert "76.44" in said and "73.69  (paper)" in said
    asked.clear()
    assert run(tmp_path, "table4", *given, f"--truth={truth}") == 0 and not asked


def test_mistakes_are_told(calls, tmp_path, capsys):
    assert run(tmp_path, "tabel1") == 2
    assert "there is no experiment tabel1: table1, " in capsys.readouterr().out
    assert run(tmp_path, "table1", "--config.test=") == 2
    assert "--config.test is missing" in capsys.readouterr().err
    assert run(tmp_path, "ablations", "--parts=epochs", *TINY) == 2
    assert "--parts=epochs: choose from recursion, motion, refiner" in capsys.readouterr().err
    assert run(tmp_path, "table1", "--seeds=a") == 2
    assert "--seeds=a must be whole numbers" in capsys.readouterr().err
    assert not calls


def test_statistics_and_names():
    assert statistics({0: 1.0, 5: 3.0}) == {
        "miou": {0: 1.0, 5: 3.0}, "mean": 2.0, "sigma": pytest.approx(2**0.5)
    }  # fmt: skip
    assert statistics({0: 1.0})["sigma"] is None
    assert offsets_up_to(6) == (-6, -4, -2, 2, 4, 6)
    assert folder_of("warp-refine", (-4, -2, 2, 4)) == "warp-refine_2_4"


def test_motion_only_is_sampled_next_to_the_labelled_frames(tmp_path):
    setting = Setting(Config(), "D", "T", tmp_path, (0,))
    options = rows(setting)
    assert list(options) == [
        "baseline", "motion-only", "semantic-only", "warp-inpaint", "warp-refine", "oracle",
    ]  # fmt: skip
    assert options["motion-only"].offsets == (-2, 2) and options["motion-only"].images == "auto"
    assert options["oracle"].labels == "true" and options["baseline"].labels == "none"
