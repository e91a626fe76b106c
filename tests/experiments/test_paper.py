"""The paper's tables and figures by their command; networks are stood in for by fixed scores."""

import json

import pytest
from absl.testing import flagsaver

from experiments import paper, setting
from experiments.setting import Setting, folder_of, offsets_up_to, statistics
from experiments.students import rows
from wrp_jax.config import Config

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

GAINS = {"none": 0.0, "motion-only": -1.0, "semantic-only": 1.0, "warp-inpaint": 2.0,
         "warp-refine": 3.0, "true": 5.0}  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """Training, propagating and scoring by these figures; what was trained."""
    trained = []

    def fit(data, config, workdir, **more):
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
        scores = {"test": test, "miou": miou, "pixel_accuracy": 90.0, "mean_accuracy": 60.0}
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "scores.json").write_text(json.dumps(scores))
        (workdir / "student.npz").touch()
        return scores

    monkeypatch.setattr(setting, "fit", fit)
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


@pytest.mark.parametrize("name", ["fig1", "fig5", "ablations"])
def test_figures_of_labels(calls, tmp_path, capsys, name):
    assert run(tmp_path, name, "--suffix=toy") == 0
    figures = result(tmp_path, f"{name}_toy")["figures"]
    said = capsys.readouterr().out
    if name == "fig1":
        assert figures["margin"] == {"10": pytest.approx(2.0)} and "+11.35" in said
    elif name == "fig5":
        assert figures["iou"]["warp-refine"] == {"pole": 33.0} and "+13.12" in said
    else:
        assert "soft labels" in figures["warp-inpaint"]
    assert not any(config.stages == ("student",) for _, config in calls)


@pytest.mark.parametrize(
    ("name", "says"),
    [("table2", "needs Cityscapes"), ("table4", "needs KITTI"), ("fig6", "needs ApolloScape"),
     ("table3", "needs NYU-Depth V2")],
)  # fmt: skip
def test_what_cannot_be_run_says_why(calls, tmp_path, capsys, name, says):
    assert run(tmp_path, name) == 0
    assert f"not run: {says}" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


def test_mistakes_are_told(calls, tmp_path, capsys):
    assert run(tmp_path, "tabel1") == 2
    assert "there is no experiment tabel1: table1, " in capsys.readouterr().out
    assert run(tmp_path, "table1", "--config.test=") == 2
    assert "--config.test is missing" in capsys.readouterr().err
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
