import html.parser
import json

import numpy as np
import pytest

from wrp_jax.evaluation.evaluator import Evaluator
from wrp_jax.evaluation.reliability import Reliability
from wrp_jax.reporting.clips import Clip, FrameRow
from wrp_jax.reporting.report import ClassQuality, Proposal, ThresholdCurve, render_report
from wrp_jax.types import ClassMap

CLASSES = ClassMap(
    ids=(0, 7, 255),
    names=("road", "<script>car", "void"),
    colors=np.array([[128, 64, 128], [0, 0, 142], [10, 20, 30]], np.uint8),
    void=(False, False, True),
)
METHODS = ("static", "motion-only", "warp-refine")


class Page(html.parser.HTMLParser):
    """Collects what a test asks about; knows which elements need no end."""

    void = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def make_clip(n=5, sequence="a&b", **more):
    key = n // 2
    return Clip(
        sequence,
        tuple(
            FrameRow(sequence, str(i), i == key, 1.0 if i == key else 0.9 - 0.1 * (i == 0), key,
                     is_scored=i != key, **more)
            for i in range(n)
        ),
    )  # fmt: skip


def make_report(clips=None, scored=True, **more):
    evaluator, rng = Evaluator(CLASSES), np.random.default_rng(0)
    reliability = {method: Reliability() for method in METHODS}
    truth = rng.integers(0, 3, (17, 31))
    for share, method in enumerate(METHODS, 1) if scored else ():
        for d in (-2, -1, 1, 2):
            # Every method better than the one before, by what it takes from the truth.
            mixed = rng.integers(0, 3, truth.shape)
            mixed.ravel()[: 100 * share] = truth.ravel()[: 100 * share]
            evaluator.add(method, abs(d), truth, mixed)
            sure = np.full(mixed.shape, 0.25 * share)
            reliability[method].add(sure, mixed, truth, ~np.array(CLASSES.void))
    scores = evaluator.metrics(METHODS)
    for method in METHODS:
        scores[method]["reliability"] = reliability[method].summary()
    return render_report(
        title="Labels of <b>",
        classes=CLASSES,
        method="warp-refine",
        metrics={"methods": scores},
        styles={method: ("var(--ink)", "") for method in METHODS},
        clips=[make_clip()] if clips is None else clips,
        notes=["Mind the <gap>."],
        **more,
    )


def data_of(text):
    """What the scripts of the page read."""
    return json.loads(text.split('id="report-data">')[1].split("</script>")[0])


def test_page_is_well_formed_and_loads_nothing_by_itself():
    text = make_report()
    page = Page(text)
    for name in ("src", "href"):
        for _, attrs in page.elements:
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    places = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {a["href"][1:] for a in page.all("a")} <= places
    assert "http" not in text.replace("http://www.w3.org", "").replace('startsWith("http")', "")
    assert "<b>" not in text.split("<h1>")[1].split("</h1>")[0]
    assert "<script>car" not in text and "Mind the &lt;gap&gt;." in text
    assert data_of(text)["classes"][1] == {
        "id": 7, "name": "<script>car", "color": [0, 0, 142], "void": False,
    }  # fmt: skip


def test_the_curve_of_tau_is_shown_where_it_was_chosen():
    tau = ThresholdCurve(0.5, {1.8: 78.0, 0.5: 79.04}, "The curve is flat.")
    text = make_report(tau=tau)
    page = Page(text)
    assert {"href": "#tau"} in page.all("a")
    assert sum("threshold" in svg.get("class", "") for svg in page.all("svg")) == 1
    section = text.split('id="tau"')[1]
    assert "The curve is flat." in section and "0.5, chosen" in section and "79.0" in section
    assert 'id="tau"' not in make_report()


def test_the_page_stays_small_with_many_clips():
    one, many = (len(make_report([make_clip(sequence=f"clip {i}") for i in range(n)]))
                 for n in (1, 201))  # fmt: skip
    assert (many - one) / 200 < 150 and one < 120_000


def test_clips_are_listed_worst_first():
    clips = [make_clip(sequence=name, miou=value) for name, value in
             (("good", 90.0), ("bad", 40.0), ("middling", 70.0))]  # fmt: skip
    listed = data_of(make_report(clips))
    assert [line["sequence"] for line in listed["clips"]] == ["bad", "middling", "good"]
    assert listed["clips"][0]["miou"] == [40.0, 40.0] and listed["hasEstimates"]
    assert listed["floor"] == 30
    for worst, floor in ((61.0, 50), (99.0, 90), (3.0, 0)):
        assert data_of(make_report([make_clip(sequence="a", miou=worst)]))["floor"] == floor


def test_frames_to_fix_are_those_proposed_or_the_least_sure():
    fix = data_of(make_report())["fix"]
    assert fix["rows"][0] == ["a&b", "0", "80.0"] and len(fix["rows"]) == 4
    proposal = Proposal("Chosen.", ("sequence", "frame", "gain"), [("a&b", "3", "7")])
    text = make_report(proposal=proposal, video="my data")
    assert data_of(text)["fix"]["rows"] == [["a&b", "3", "7"]] and "Chosen." in text
    said = text.replace('<span class="word">', "").replace("</span>", "")
    assert "wrp export OUT cvat.zip --to=cvat --data=&#39;my data&#39; --frames=LIST" in said


def test_summary_names_the_gain_and_the_best_other_method():
    text = make_report()
    assert "From 1 frame labelled by hand, warp-refine labelled 4 more frames" in text
    assert "above motion-only, the best other method" in text


def test_the_confidence_of_every_method_is_set_against_its_accuracy():
    text = make_report()
    page = Page(text)
    points = [a for a in page.all("circle") if a.get("class") == "share"]
    assert len(points) == len(METHODS)  # one confidence each, so one bin
    # At 25, 50 and 75 % confidence, evenly along the axis.
    x = [float(p["cx"]) for p in points]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.11) and x[1] > x[0]
    assert text.count("% right at confidence 75.0 %, 100.0 % of the pixels") == 1
    section = text.split("Can the confidence be believed?")[1].split("</section>")[0]
    table = section.split("<tbody>")[1]
    assert [table.count(f">{name}</th>") for name in METHODS] == [1, 1, 1]
    assert "<td>50.0</td>" in table.split(">motion-only</th>")[1].split("</tr>")[0]
    assert "Can the confidence" not in make_report(scored=False)


def test_without_truth_it_says_where_to_look():
    text = make_report(scored=False)
    page = Page(text)
    assert "No other frame has a true label" in text
    assert "a&amp;b/0" in text  # the least sure frame
    assert {a.get("class") for a in page.all("table")} == {"fix scores", None}


def test_a_class_names_the_frame_where_it_is_worst():
    known = {CLASSES.names[1]: ClassQuality(61.25, "a&b/c", "0 1", 7.0, False)}
    text = make_report(class_quality=known)
    link = '<a href="#at=a%26b%2Fc/0%201">worst in a&amp;b/c 0 1</a>, <span class="num">7.0</span>'
    assert text.count(link) == text.count(">worst in ") == 1
    # Without any truth, by the estimates.
    guessed = make_report(scored=False, class_quality=known)
    assert Bars(guessed).found == {CLASSES.names[1]: {"warp-refine": (61.2, 61.2)}}
    assert link in guessed and "no true label is known" in guessed
    assert 'id="classes"' not in make_report(scored=False)


class Bars(html.parser.HTMLParser):
    """``{class: {method: (score, width)}}`` of the bars per class."""

    def __init__(self, text):
        super().__init__()
        self.found, self._name, self._method, self._heading = {}, "", "", False
        self.feed(text.split('<div class="classes">')[1].split("</section>")[0])

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._heading = self._heading or tag == "h3"
        if attrs.get("class", "").startswith("bar-row"):
            self._method, score = attrs["title"].split(": ")
            self.found[self._name][self._method] = float(score)
        elif tag == "i":
            style = dict(part.split(":") for part in attrs["style"].split(";"))
            width = float(style["width"].removesuffix("%"))
            self.found[self._name][self._method] = (self.found[self._name][self._method], width)

    def handle_data(self, data):
        if self._heading:
            self._name, self._heading = data, False
            self.found[data] = {}


def test_every_class_has_a_bar_of_each_method_as_long_as_its_score():
    bars = Bars(make_report()).found
    assert list(bars) == ["mean over classes", *CLASSES.names]
    for of_class in bars.values():
        assert list(of_class) == list(METHODS)
        assert all(score == width for score, width in of_class.values())
    assert len({pair for of_class in bars.values() for pair in of_class.values()}) > 8
