"""The time of labelling, foretold: arithmetic alone, no clock."""

import pytest

from wrp_jax.labelling import dry_run, forecast
from wrp_jax.labelling.plan import make_plan
from wrp_jax.labelling.request import Request
from wrp_jax.progress import on_all_cores


def test_time_goes_with_pixels_and_with_what_the_methods_look_at():
    def each(*methods):
        """Seconds of one core for a million pixels, the compiling left out."""
        more, less = (forecast.seconds_of_pixels(methods, n, 20) for n in (2_000_000, 1_000_000))
        return (more - less) / on_all_cores(1.0)

    assert each("static") == pytest.approx(0.5)
    assert each("motion-only") == pytest.approx(0.5 + 0.65)
    assert each("static", "motion-only") == pytest.approx(2 * 0.5 + 0.65)
    assert forecast.seconds_of_pixels(["motion-only"], 0, 20) == 0
    assert forecast.seconds_of_pixels(["warp-refine"], 0, 20) == 40


@pytest.mark.parametrize(("cores", "refining"), [(1, 1), (2, 2), (8, 2)])
def test_refining_takes_two_cores_at_most(cores, refining, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(cores), raising=False)
    seconds = forecast.seconds_of_pixels(["warp-refine"], 1_000_000, 9)
    rest = (0.5 + 0.65 + 2) / cores
    assert seconds == pytest.approx(40 + (rest + 6 / refining) / 0.8)


def test_flow_voting_takes_one_core_and_goes_with_the_classes():
    motion = forecast.seconds_of_pixels(["motion-only"], 1_000_000, 9)
    few, many = (forecast.seconds_of_pixels(["flow-voting"], 1_000_000, n) for n in (3, 23))
    assert few - motion == pytest.approx(0.5 + 3 * 0.12)
    assert many - few == pytest.approx(20 * 0.12)


def test_nothing_to_label_takes_no_time(make_folder, config, tmp_path):
    plan = make_plan(config, Request(str(make_folder({"a": 5})), tmp_path / "out", "warp-refine"))
    assert forecast.labelling_seconds(plan, plan.own) > 40
    assert forecast.labelling_seconds(plan, []) == 0


def test_flow_voting_waits_in_files_that_a_dry_run_counts(make_folder, config, tmp_path):
    root, out = make_folder({"a": 5}), tmp_path / "out"
    sizes = {}
    for method in ("motion-only", "flow-voting"):
        plan = make_plan(config, Request(str(root), out, method))
        job, sizes[method] = dry_run._largest(plan, plan.jobs)
    votes = len(job.names) * 24 * 32 * (32 + 8 * 3)
    assert sizes["flow-voting"] == sizes["motion-only"] + votes


def test_two_flows_for_each_frame_take_longer():
    one, two = (forecast.seconds_of_pixels(["motion-only"], 10**6, 9, n) for n in (1.0, 2.0))
    assert one < two < 2 * one
