import itertools
import xml.etree.ElementTree as ET

import pytest

from wrp_jax.reporting import curves
from wrp_jax.reporting.curves import curve_chart, threshold_chart

CURVES = {
    "motion-only": {str(k): 90.0 - 3 * k for k in range(1, 11)},
    "warp-refine": {str(k): 91.0 - k for k in range(1, 11)},
}
STYLES = {"static": ("gray", "2 4"), "motion-only": ("blue", ""), "warp-refine": ("red", "")}


def test_points_stand_where_their_values_are():
    svg = ET.fromstring(str(curve_chart(CURVES, STYLES, emphasis="warp-refine")))
    lines = [g for g in svg.iter("g")]
    assert "heavy" in lines[-1].get("class")  # drawn last, on top
    circles = list(lines[0].iter("circle"))
    assert len(circles) == 10
    ys = [float(c.get("cy")) for c in circles]
    steps = [b - a for a, b in itertools.pairwise(ys)]
    assert all(step == pytest.approx(steps[0], abs=0.11) and step > 0 for step in steps)
    assert circles[0].find("title").text == "motion-only, ±1: 87.0"
    ticks = {t.text: float(t.get("y")) for t in svg.iter("text") if t.get("class") == "tick"}
    height = float(circles[0].get("cy")) + 4
    assert ticks["90"] < height < ticks["80"]


def test_names_are_escaped_and_do_not_overlap():
    flat = {f"<b>{i}</b>": {"1": 50.0, "2": 50.0} for i in range(8)}
    text = str(curve_chart(flat, dict.fromkeys(flat, ("red", "")), emphasis="none"))
    assert "<b>" not in text
    svg = ET.fromstring(text)
    ends = sorted(float(t.get("y")) for t in svg.iter("text") if "end" in t.get("class"))
    assert all(b - a >= 16.9 for a, b in itertools.pairwise(ends))
    assert ends[0] > 0 and ends[-1] < curves.HEIGHT


@pytest.mark.parametrize("value", [0.0, 42.0, 100.0])
def test_one_point_makes_a_chart(value):
    svg = ET.fromstring(str(curve_chart({"static": {"3": value}}, STYLES, emphasis="static")))
    (circle,) = svg.iter("circle")
    assert 0 <= float(circle.get("cy")) <= curves.HEIGHT


def test_no_point_makes_no_chart():
    assert curve_chart({"static": {}}, STYLES, emphasis="static") == ""


def test_a_narrow_chart_has_the_same_points_and_no_names():
    svg = ET.fromstring(str(curve_chart(CURVES, STYLES, emphasis="warp-refine", is_narrow=True)))
    assert svg.get("viewBox") == f"0 0 {curves.NARROW_WIDTH} {curves.HEIGHT}"
    assert len(list(svg.iter("circle"))) == 20
    assert all(float(c.get("cx")) < curves.NARROW_WIDTH for c in svg.iter("circle"))
    assert {t.get("class") for t in svg.iter("text")} == {"tick", "axis"}


def test_the_curve_of_a_threshold_marks_what_was_chosen():
    curve = {1.8: 78.0, 0.1: 65.0, 0.5: 79.0}
    svg = ET.fromstring(str(threshold_chart(curve, 0.5, "τ")))
    circles = list(svg.iter("circle"))
    assert [c.find("title").text for c in circles] == [
        "0.1: 65.0",
        "0.5: 79.0, chosen",
        "1.8: 78.0",
    ]
    assert [c.get("class") for c in circles] == [None, "chosen", None]
    xs, ys = ([float(c.get(k)) for c in circles] for k in ("cx", "cy"))
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11) and xs == sorted(xs)
    assert ys[1] < ys[2] < ys[0]  # the better, the higher
